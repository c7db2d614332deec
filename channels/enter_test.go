package channels

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"broadcastd/protocol"
)

// TestEnter: the hub delivers, and tells nobody who comes and goes.
func TestEnter(t *testing.T) {
	var d diary
	_, sub := newTestHub()
	a, b := sub(0), sub(1)
	b.deflates = true
	hub := NewHub(a.r, new(atomic.Uint64), Options{CacheTTL: time.Minute, CacheBytes: 1 << 20, Observer: &d, SubscriptionCount: true})
	const room = "presence-cache-x"
	const succeeded = `{"event":"pusher_internal:subscription_succeeded","channel":"presence-cache-x","data":"{\"presence\":{}}"}`
	const miss = `{"event":"pusher:cache_miss","channel":"presence-cache-x"}`
	const price = `{"event":"price","channel":"presence-cache-x","data":"1"}`
	presence := []byte(`{"presence":{}}`)

	hub.Tell(room, MemberRemoved(room, "7")) // to nobody
	hub.Enter(a, room, presence)
	expect(t, a, succeeded, miss)
	hub.Publish(cachedEvent(room, `"1"`), time.Time{})
	hub.Enter(b, room, presence)
	expect(t, b, succeeded, price)
	expect(t, a, price)
	added := `{"event":"pusher_internal:member_added","channel":"presence-cache-x","data":"{\"user_id\":\"7\",\"user_info\":null}"}`
	hub.Tell(room, MemberAdded(room, &protocol.Member{UserID: "7"}))
	expect(t, a, added)
	expect(t, b, added)
	hub.Reenter(b, room, func() []byte { return []byte(`{}`) })
	expect(t, b, `{"event":"pusher_internal:subscription_succeeded","channel":"presence-cache-x","data":"{}"}`)
	if info := hub.Info(room); !info.Occupied || info.Subscriptions != 2 {
		t.Errorf("the channel is %+v, want two subscriptions", info)
	}
	if users := hub.Users(room); len(users) != 0 {
		t.Errorf("the hub knows the members %v, of whom it was told nothing", users)
	}

	hub.Exit(a, room)
	hub.Tell(room, MemberRemoved(room, "7"))
	expect(t, a)
	expect(t, b, `{"event":"pusher_internal:member_removed","channel":"presence-cache-x","data":"{\"user_id\":\"7\"}"}`)
	hub.Exit(b, room)
	hub.Exit(b, room)
	if n := hub.Stats().Of(protocol.KindOf(room)); n.Channels.Load() != 0 || n.Subscriptions.Load() != 0 {
		t.Errorf("%d channels and %d subscriptions are counted after the end", n.Channels.Load(), n.Subscriptions.Load())
	}
	d.expect(t, "miss "+room)
}

func TestRoster(t *testing.T) {
	r := NewRoster()
	ann, bob := &protocol.Member{UserID: "ann", Info: []byte(`{"a":1}`)}, &protocol.Member{UserID: "bob"}
	if r.Remove("ann") || r.Has("ann") || r.Len() != 0 {
		t.Error("an empty roster has a member")
	}
	if !r.Add(ann) || r.Add(ann) || !r.Add(bob) {
		t.Error("a user's first connection is not told from a later one")
	}
	if got, want := string(r.Encode()), `{"presence":{"ids":["ann","bob"],"hash":{"ann":{"a":1},"bob":null},"count":2}}`; got != want {
		t.Errorf("encoded %s, want %s", got, want)
	}
	var ids []string
	for m := range r.Members() {
		ids = append(ids, m.UserID+string(m.Info))
	}
	if !slices.Equal(ids, []string{`ann{"a":1}`, "bobnull"}) {
		t.Errorf("the members are %v", ids)
	}
	if r.Remove("ann") || !r.Has("ann") || !r.Remove("ann") || r.Has("ann") || r.Len() != 1 {
		t.Error("a member leaves with another than the last connection")
	}
}

func TestRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, sub := newTestHub()
		a := sub(0)
		const channel = "cache-a"
		wantLast := func(want string, wantLeft time.Duration) {
			t.Helper()
			e, left, ok := hub.LastEvent(channel)
			if ok != (want != "") || string(e.Data) != want || left != wantLeft {
				t.Errorf("the last event is %q for %s (%t), want %q for %s", e.Data, left, ok, want, wantLeft)
			}
		}
		wantLast("", 0)
		hub.Restore(cachedEvent(channel, `"1"`), 30*time.Second)
		wantLast(`"1"`, 30*time.Second)
		hub.Enter(a, channel, nil)
		if seen := a.take(); len(seen) != 2 || seen[1] != `{"event":"price","channel":"cache-a","data":"1"}` {
			t.Errorf("saw %v", seen)
		}
		hub.Publish(cachedEvent(channel, `"2"`), time.Time{})
		a.take()
		hub.Restore(cachedEvent(channel, `"1"`), 30*time.Second)
		expect(t, a)
		wantLast(`"2"`, time.Minute) // the later one
		time.Sleep(40 * time.Second)
		hub.Restore(cachedEvent(channel, `"3"`), time.Hour)
		wantLast(`"3"`, time.Minute) // no longer than any other
		hub.Publish(cachedEvent(channel, `"4"`), time.Time{})
		wantLast(`"4"`, time.Minute)
	})
}
