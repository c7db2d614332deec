package channels

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadcastd/protocol"
)

// recorder is a Fanout that keeps, in order, what each subscriber would see.
type recorder struct {
	mu sync.Mutex
	// Guarded by mu.
	topics   []map[uint64]map[*subscriber]bool // by flusher
	deflated int                               // broadcasts that came compressed too
}

func newRecorder(flushers int) *recorder {
	r := &recorder{}
	for range flushers {
		r.topics = append(r.topics, make(map[uint64]map[*subscriber]bool))
	}
	return r
}

func (r *recorder) Flushers() int { return len(r.topics) }

func (r *recorder) Broadcast(flusher int, topic uint64, f protocol.Shared, except protocol.SocketID, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.topics[flusher][topic] {
		if s.id != except {
			got := f.For(s.deflates)
			s.seen = append(s.seen, string(got.Payload()))
			s.compressed = s.deflates && f.Deflated != nil
			if f.Deflated != nil {
				r.deflated++
			}
		}
	}
}

type subscriber struct {
	r        *recorder
	id       protocol.SocketID
	flusher  int
	deflates bool
	// Guarded by r.mu.
	seen       []string
	compressed bool // the last of seen, a broadcast, was
}

func (s *subscriber) SocketID() protocol.SocketID { return s.id }
func (s *subscriber) Flusher() int                { return s.flusher }
func (s *subscriber) Deflates() bool              { return s.deflates }

func (s *subscriber) Join(topic uint64, reply protocol.Frame) {
	s.Send(reply)
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	t := s.r.topics[s.flusher]
	if t[topic] == nil {
		t[topic] = make(map[*subscriber]bool)
	}
	t[topic][s] = true
}

func (s *subscriber) Leave(topic uint64) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	delete(s.r.topics[s.flusher][topic], s)
}

func (s *subscriber) Send(f protocol.Frame) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.seen = append(s.seen, string(f.Payload()))
}

// take returns what was seen since the last call.
func (s *subscriber) take() []string {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

func newTestHub() (*Hub, func(flusher int) *subscriber) {
	r := newRecorder(2)
	var ids atomic.Uint64
	return NewHub(r, new(atomic.Uint64), Options{CacheTTL: time.Minute, CacheBytes: 1 << 20}), func(flusher int) *subscriber {
		return &subscriber{r: r, id: protocol.SocketID(ids.Add(1)), flusher: flusher}
	}
}

func expect(t *testing.T, s *subscriber, want ...string) {
	t.Helper()
	if got := s.take(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("socket %d saw\n %v\nwant\n %v", s.id, got, want)
	}
}

func TestHubDelivers(t *testing.T) {
	hub, sub := newTestHub()
	a, b := sub(0), sub(1)
	event := func(except protocol.SocketID) *protocol.Event {
		return &protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"1"`), Except: except}
	}
	const subscribed = `{"event":"pusher_internal:subscription_succeeded","channel":"jobs","data":"{}"}`
	const delivered = `{"event":"e","channel":"jobs","data":"1"}`

	if n := hub.Publish(event(0), time.Time{}); n != 0 {
		t.Errorf("Publish to an empty channel reached %d", n)
	}
	subscribe(t, hub, a, "jobs", nil)
	subscribe(t, hub, b, "jobs", nil)
	if n := hub.Publish(event(0), time.Time{}); n != 2 {
		t.Errorf("Publish reached %d, want 2", n)
	}
	hub.Publish(event(a.id), time.Time{})
	expect(t, a, subscribed, delivered)
	expect(t, b, subscribed, delivered, delivered)

	hub.Resubscribe(a, "jobs")
	hub.Unsubscribe(b, "jobs", nil)
	hub.Publish(event(0), time.Time{})
	expect(t, a, subscribed, delivered)
	expect(t, b)

	count := hub.Stats().Of(protocol.Public)
	if c, s := count.Channels.Load(), count.Subscriptions.Load(); c != 1 || s != 1 {
		t.Errorf("stats say %d channels, %d subscriptions, want 1, 1", c, s)
	}
	hub.Unsubscribe(a, "jobs", nil)
	if c, s := count.Channels.Load(), count.Subscriptions.Load(); c != 0 || s != 0 {
		t.Errorf("stats say %d channels, %d subscriptions after all have left", c, s)
	}
	for i := range hub.shards {
		if n := len(hub.shards[i].channels); n != 0 {
			t.Errorf("shard %d still holds %d channels", i, n)
		}
	}
}

func TestHubPresence(t *testing.T) {
	hub, sub := newTestHub()
	ann, ann2, bob := sub(0), sub(1), sub(1)
	annSays := &protocol.Member{UserID: "1", Info: json.RawMessage(`{"name":"Ann"}`)}
	bobSays := &protocol.Member{UserID: "2"}
	const room = "presence-room"
	succeeded := func(presence string) string {
		f := protocol.SubscriptionSucceeded(room, []byte(presence))
		return string(f.Payload())
	}
	const onlyAnn = `{"presence":{"ids":["1"],"hash":{"1":{"name":"Ann"}},"count":1}}`

	subscribe(t, hub, ann, room, annSays)
	subscribe(t, hub, ann2, room, annSays)
	expect(t, ann, succeeded(onlyAnn))
	expect(t, ann2, succeeded(onlyAnn))

	subscribe(t, hub, bob, room, bobSays)
	expect(t, bob, succeeded(`{"presence":{"ids":["1","2"],"hash":{"1":{"name":"Ann"},"2":null},"count":2}}`))
	const added = `{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"2\",\"user_info\":null}"}`
	expect(t, ann, added)
	expect(t, ann2, added)

	hub.Unsubscribe(ann, room, annSays)
	expect(t, bob)
	hub.Unsubscribe(ann2, room, annSays)
	expect(t, bob, `{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"1\"}"}`)
	hub.Unsubscribe(bob, room, bobSays)
	expect(t, bob)
}

// TestHubConcurrent lets subscribers come and go while events are published:
// each sees events in one order, and only between its subscription and its
// leaving.
func TestHubConcurrent(t *testing.T) {
	hub, sub := newTestHub()
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			e := &protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(fmt.Sprint(i))}
			hub.Publish(e, time.Time{})
		}
	})
	var subscribers sync.WaitGroup
	for i := range 8 {
		subscribers.Go(func() {
			for range 50 {
				s := sub(i % 2)
				if err := hub.Subscribe(s, "jobs", nil); err != nil {
					t.Error(err)
				}
				hub.Unsubscribe(s, "jobs", nil)
				checkOrder(t, s.take())
			}
		})
	}
	subscribers.Wait()
	close(stop)
	publisher.Wait()
}

func checkOrder(t *testing.T, seen []string) {
	t.Helper()
	last := -1
	for i, text := range seen {
		var m struct {
			Event string
			Data  json.RawMessage
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Errorf("message %q: %v", text, err)
		}
		if (i == 0) != (m.Event == "pusher_internal:subscription_succeeded") {
			t.Errorf("message %d is %s", i, text)
		}
		if i == 0 {
			continue
		}
		var n int
		if err := json.Unmarshal(m.Data, &n); err != nil || last >= 0 && n != last+1 {
			t.Errorf("event %d came after %d (%v)", n, last, err)
		}
		last = n
	}
}

// TestCompressedOnceForThoseWhoWant: an event is compressed only while somebody
// in the channel agreed to that, and only they get it so.
func TestCompressedOnceForThoseWhoWant(t *testing.T) {
	r := newRecorder(2)
	hub := NewHub(r, new(atomic.Uint64), Options{})
	plain := &subscriber{r: r, id: 1}
	deflating := &subscriber{r: r, id: 2, flusher: 1, deflates: true}
	event := protocol.Event{Channel: "jobs", Name: "e", Data: protocol.QuoteData(make([]byte, 1000))}
	publish := func() {
		t.Helper()
		hub.Publish(&event, time.Time{})
		if seen := plain.take(); len(seen) == 0 || seen[len(seen)-1] != string(event.Frame().Payload()) || plain.compressed {
			t.Errorf("the plain one got %.80q, compressed: %t", seen, plain.compressed)
		}
	}
	for _, s := range []*subscriber{plain, deflating} {
		if err := hub.Subscribe(s, "jobs", nil); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	if seen := deflating.take(); len(seen) != 2 || seen[1] != string(event.Frame().Payload()) || !deflating.compressed {
		t.Errorf("the other got %.80q, compressed: %t", seen, deflating.compressed)
	}
	hub.Unsubscribe(deflating, "jobs", nil)
	r.deflated = 0
	if publish(); r.deflated != 0 {
		t.Error("an event was compressed for nobody")
	}
}

// TestConfigure: what is changed counts from then on, and takes nobody away.
func TestConfigure(t *testing.T) {
	hub, sub := newTestHub()
	const room = "presence-room"
	enter := func(user string) error { return hub.Subscribe(sub(0), room, &protocol.Member{UserID: user}) }
	subscribe(t, hub, sub(0), room, &protocol.Member{UserID: "1"})
	subscribe(t, hub, sub(0), room, &protocol.Member{UserID: "2"})
	for _, channel := range []string{"cache-a", "cache-b"} {
		hub.Publish(cachedEvent(channel, `"1"`), time.Time{})
	}
	one := hub.cache.size / 2
	hub.Configure(Options{MaxMembers: 1, SubscriptionCount: true, CacheTTL: time.Minute, CacheBytes: one})
	if err := enter("3"); err == nil {
		t.Error("a third member came into a room of one")
	}
	if n := len(hub.Users(room)); n != 2 {
		t.Errorf("%d members are left of two", n)
	}
	if hub.Info("cache-a").Cached != nil || hub.Info("cache-b").Cached == nil {
		t.Error("of the cache not the latest event alone is left")
	}
	s := sub(0)
	subscribe(t, hub, s, "news", nil)
	if seen := s.take(); len(seen) != 2 || seen[1] != string(SubscriptionCount("news", 1).Payload()) {
		t.Errorf("saw %q, want a count", seen)
	}
	hub.Configure(Options{})
	if err := enter("3"); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}
