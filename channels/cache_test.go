package channels

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"broadcastd/protocol"
)

func cachedEvent(channel, data string) *protocol.Event {
	return &protocol.Event{Channel: channel, Name: "price", Data: json.RawMessage(data)}
}

func TestCacheReplays(t *testing.T) {
	for _, channel := range []string{"cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a"} {
		t.Run(channel, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub, sub := newTestHub()
				member := &protocol.Member{UserID: "1"}
				a, b, c := sub(0), sub(1), sub(0)
				last := func(s *subscriber) string {
					seen := s.take()
					if len(seen) != 2 {
						t.Fatalf("saw %v, want the answer and one more", seen)
					}
					return seen[1]
				}

				subscribe(t, hub, a, channel, member)
				if got, want := last(a), `{"event":"pusher:cache_miss","channel":"`+channel+`"}`; got != want {
					t.Errorf("an empty cache gives %s, want %s", got, want)
				}
				hub.Publish(cachedEvent(channel, `"1"`), time.Time{})
				hub.Unsubscribe(a, channel, member)
				hub.Publish(cachedEvent(channel, `"2"`), time.Time{}) // nobody is there
				subscribe(t, hub, b, channel, member)
				if got, want := last(b), `{"event":"price","channel":"`+channel+`","data":"2"}`; got != want {
					t.Errorf("the cache gives %s, want %s", got, want)
				}
				time.Sleep(20 * time.Second)
				if info := hub.Info(channel); string(info.Cached) != `"2"` || info.CachedFor != 40*time.Second {
					t.Errorf("info says %s for %s", info.Cached, info.CachedFor)
				}
				time.Sleep(40 * time.Second)
				if info := hub.Info(channel); info.Cached != nil {
					t.Errorf("info still says %s", info.Cached)
				}
				subscribe(t, hub, c, channel, member)
				if got := last(c); got != `{"event":"pusher:cache_miss","channel":"`+channel+`"}` {
					t.Errorf("after its time the cache gives %s", got)
				}
			})
		})
	}
}

func subscribe(t *testing.T, hub *Hub, s *subscriber, channel string, m *protocol.Member) {
	t.Helper()
	if err := hub.Subscribe(s, channel, m); err != nil {
		t.Fatal(err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(10_000)
	now := time.Now()
	put := func(i int) {
		e := cachedEvent(fmt.Sprint("cache-", i), `"x"`)
		c.put(e, e.Frame(), now, now.Add(time.Minute))
	}
	for i := range 1000 {
		put(i)
		put(0) // stays, since it's always among the latest
	}
	if c.size > c.max || c.order.Len() != len(c.byName) {
		t.Errorf("%d bytes in %d entries of %d names, the bound is %d bytes", c.size, c.order.Len(), len(c.byName), c.max)
	}
	if e, _ := c.get("cache-0", now); e == nil {
		t.Error("the latest event is not kept")
	}
	if e, _ := c.get("cache-1", now); e != nil {
		t.Error("an old event outlives younger ones")
	}
	now = now.Add(time.Hour)
	put(1)
	if c.order.Len() != 1 {
		t.Errorf("%d entries outlive their time", c.order.Len()-1)
	}
	e := cachedEvent("cache-huge", `"`+string(make([]byte, 20_000))+`"`)
	c.put(e, e.Frame(), now, now.Add(time.Minute))
	if e, _ := c.get("cache-huge", now); e != nil || len(c.byName) != 1 {
		t.Errorf("what exceeds the bound is kept, or drove out others: %d entries", len(c.byName))
	}
}
