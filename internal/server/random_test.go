package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"broadcastd/protocol"
)

const (
	walkers   = 8
	walkSteps = 60
)

// TestRandom lets clients join, leave and vanish while events come in, and
// compares what each of them gets with a model. In the end nothing is left.
func TestRandom(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &world{d: start(t), channels: map[string]*numbered{}, ids: make([]protocol.SocketID, walkers)}
			for _, name := range []string{"jobs", "private-a", "private-cache-b", "presence-room", "presence-cache-hall"} {
				w.channels[name] = &numbered{channel: name}
			}
			w.run(t, seed)
		})
	}
}

// world is a daemon, the events that it is sent and the clients that it has.
type world struct {
	d        *daemon
	channels map[string]*numbered

	mu  sync.Mutex
	ids []protocol.SocketID // of the walkers' connections, guarded by mu
}

func (w *world) run(t *testing.T, seed uint64) {
	t.Helper()
	quit := make(chan struct{})
	var publishing, walking sync.WaitGroup
	for i, name := range slices.Sorted(maps.Keys(w.channels)) {
		rng := rand.New(rand.NewPCG(seed, uint64(1000+i)))
		publishing.Go(func() { w.publish(inGoroutine{t}, w.channels[name], rng, quit) })
	}
	all := make([]*walker, walkers)
	for i := range all {
		all[i] = &walker{
			w: w, t: inGoroutine{t}, number: i, user: fmt.Sprintf("user%d", i%3),
			rng: rand.New(rand.NewPCG(seed, uint64(i))),
		}
		walking.Go(all[i].walk)
	}
	walking.Wait()
	close(quit)
	publishing.Wait()
	if t.Failed() {
		return
	}
	w.compare(t, all)

	for i, a := range all {
		if i%2 == 0 {
			a.c.write(closeFrame(1000, ""))
		}
		_ = a.c.nc.Close()
	}
	w.d.waitMetric(t, `broadcastd_connections{app="app-id"}`, 0)
	for _, kind := range protocol.Kinds() {
		for _, name := range []string{"subscriptions", "channels"} {
			line := fmt.Sprintf(`broadcastd_%s{app="app-id",kind=%q}`, name, kind)
			if got := w.d.metric(t, line); got != 0 {
				t.Errorf("%s is %v when all have left", line, got)
			}
		}
	}
}

// compare looks at all clients when nothing happens any more.
func (w *world) compare(t *testing.T, all []*walker) {
	t.Helper()
	w.d.waitMetric(t, `broadcastd_connections{app="app-id"}`, walkers) // those that vanished have been missed
	present := map[string][]string{}
	for _, a := range all {
		a.t, a.c.t = t, t
		a.sync()
		for name, s := range a.in {
			if !slices.Contains(present[name], a.user) {
				present[name] = append(present[name], a.user)
			}
			if err := s.check(s.in.done.Load()); err != nil {
				t.Errorf("client %d at the end: %v", a.number, err)
			}
		}
	}
	for _, a := range all {
		for name, s := range a.in {
			if want := present[name]; protocol.KindOf(name).IsPresence() && !slices.Equal(slices.Sorted(slices.Values(s.members)), slices.Sorted(slices.Values(want))) {
				t.Errorf("client %d: members of %s are %v, want %v", a.number, name, s.members, want)
			}
		}
	}
}

// publish numbers events, some of which skip a client.
func (w *world) publish(t testing.TB, n *numbered, rng *rand.Rand, quit chan struct{}) {
	t.Helper()
	for {
		select {
		case <-quit:
			return
		case <-time.After(time.Duration(rng.IntN(300)) * time.Microsecond):
		}
		w.mu.Lock()
		except := w.ids[rng.IntN(len(w.ids))]
		w.mu.Unlock()
		if rng.IntN(3) > 0 {
			except = 0
		}
		i := n.begin(except)
		if rng.IntN(2) == 0 {
			e := protocol.Event{Channel: n.channel, Name: "e", Data: json.RawMessage(fmt.Sprintf(`"%d"`, i)), Except: except}
			if err := w.d.Publish("redis", appID, e); err != nil {
				t.Fatal(err)
			}
		} else {
			body := map[string]any{"name": "e", "channels": []string{n.channel}, "data": fmt.Sprint(i)}
			if except != 0 {
				body["socket_id"] = except.String()
			}
			if got := w.d.post(t, eventsPath, mustJSON(t, body)); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		n.done.Store(i)
	}
}

// walker is a client that does one thing after the other.
type walker struct {
	w      *world
	t      testing.TB
	number int
	user   string
	rng    *rand.Rand
	c      *client
	in     map[string]*stay
	asked  map[string]int64 // channels asked to join: what was under way then
}

func (a *walker) connect() {
	a.c = a.w.d.connect(a.t)
	a.in, a.asked = map[string]*stay{}, map[string]int64{}
	a.w.mu.Lock()
	a.w.ids[a.number] = a.c.id
	a.w.mu.Unlock()
}

func (a *walker) walk() {
	a.connect()
	names := slices.Sorted(maps.Keys(a.w.channels))
	for range walkSteps {
		name := names[a.rng.IntN(len(names))]
		s := a.in[name]
		switch action := a.rng.IntN(20); {
		case action == 0: // vanishes, with or without a word
			if a.rng.IntN(2) == 0 {
				_ = a.c.nc.SetLinger(0)
			} else {
				a.c.write(closeFrame(1001, ""))
			}
			_ = a.c.nc.Close()
			a.connect()
			continue
		case action < 3: // only reads
		case s == nil:
			a.ask(name, a.w.channels[name].done.Load())
		case action < 6: // leaves and comes back in one go
			a.ask(name, a.leave(s))
		default:
			last := a.leave(s)
			a.sync()
			a.end(s, last)
			continue
		}
		a.sync()
	}
}

// ask asks to join; the channel's events up to before are under way already.
func (a *walker) ask(channel string, before int64) {
	a.asked[channel] = before
	a.c.send(a.c.subscription(channel, a.user))
}

// leave returns the last event that has to come before the end.
func (a *walker) leave(s *stay) (last int64) {
	last = s.in.done.Load()
	a.c.unsubscribe(s.in.channel)
	return last
}

func (a *walker) end(s *stay, last int64) {
	a.t.Helper()
	if err := s.check(last); err != nil {
		a.t.Fatalf("client %d (%s): %v", a.number, a.c.id, err)
	}
	delete(a.in, s.in.channel)
}

// sync handles all that was sent to the client up to now.
func (a *walker) sync() {
	a.t.Helper()
	a.c.send(`{"event":"pusher:ping"}`)
	for m := a.c.next(); m.Event != "pusher:pong"; m = a.c.next() {
		a.handle(m)
	}
	if len(a.asked) > 0 {
		a.t.Fatalf("client %d: no answer for %v", a.number, a.asked)
	}
}

func (a *walker) handle(m message) {
	a.t.Helper()
	s := a.in[m.Channel]
	before, asked := a.asked[m.Channel]
	switch {
	case m.Event == "pusher_internal:subscription_succeeded" && asked:
		if s != nil { // it left in the same go
			a.end(s, before)
		}
		s = &stay{in: a.w.channels[m.Channel], me: a.c.id, before: before, joined: a.w.channels[m.Channel].begun.Load()}
		s.replay = protocol.KindOf(m.Channel).IsCache()
		if protocol.KindOf(m.Channel).IsPresence() {
			names, err := roster(m.text(a.t))
			if err != nil {
				a.t.Fatal(err)
			}
			s.members = slices.Collect(maps.Keys(names))
		}
		a.in[m.Channel] = s
		delete(a.asked, m.Channel)
	case s == nil:
		a.t.Fatalf("client %d is not in %q, yet gets %s %s", a.number, m.Channel, m.Event, m.Data)
	case m.Event == "pusher:cache_miss" && s.replay:
		s.replay = false
	case m.Event == "e":
		var n int64
		if err := json.Unmarshal([]byte(m.text(a.t)), &n); err != nil {
			a.t.Fatal(err)
		}
		if s.replay {
			s.replay, s.replayed = false, n
		} else {
			s.got = append(s.got, n)
		}
	default:
		var member struct {
			UserID string `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(m.text(a.t)), &member); err != nil {
			a.t.Fatal(err)
		}
		if err := s.memberEvent(m.Event, member.UserID); err != nil {
			a.t.Fatalf("client %d: %v", a.number, err)
		}
	}
}
