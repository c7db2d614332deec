package cluster_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"broadcastd/protocol"
	"broadcastd/test/proxy"
	"broadcastd/test/redistest"
)

var seedFlag = flag.Uint64("seed", 0, "of the one random run; 0: some fixed ones, and one more")

// TestWhateverHappens lets clients come, go and talk while nodes and Redis crash,
// freeze and lose each other, as a seed says. Once all is well again, everything
// must be as if nothing had happened. -run TestWhateverHappens -args -seed N
// repeats a run's steps, if not its timing.
func TestWhateverHappens(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64N(1_000_000) + 1000}
	if *seedFlag != 0 {
		seeds = []uint64{*seedFlag}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newWorld(t, seed).run()
		})
	}
}

var (
	channelNames = []string{"presence-a", "presence-b", "private-a", "a", "cache-a", "private-b"}
	userNames    = []string{"ann", "bob", "cid", "dan", "eve"}
)

// world is everything that a run has.
type world struct {
	t       testing.TB
	random  *rand.Rand
	began   time.Time
	steps   []string
	redis   *redistest.Server
	nodes   []*node
	proxies []*proxy.Proxy
	cut     []bool
	hooks   *receiver
	clients []*client
	made    int // clients
	emptied int // times that Redis was

	faults []fault
	asks   sync.WaitGroup

	mu        sync.Mutex // guards the following
	published []published
}

// fault is something that is wrong until it is ended.
type fault struct {
	what  string
	until time.Time
	end   func()
}

// published is an event that a node has answered for with 200.
type published struct {
	data    string
	channel string
	began   time.Time
	node    *node
	run     int // of the node
	emptied int // world.emptied when it was asked for
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), began: time.Now(), redis: redistest.Start(t), hooks: newReceiver(t)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d\n%s", seed, strings.Join(w.steps, "\n"))
		}
	})
	for i := range 3 {
		p, err := proxy.New(w.redis.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		w.proxies = append(w.proxies, p)
		w.nodes = append(w.nodes, newNode(t, fmt.Sprintf("n%d", i+1), nodeOptions{redis: p.URL(), partitions: 2, hooks: w.hooks.url}))
	}
	w.cut = make([]bool, len(w.nodes))
	for range 8 {
		w.newClient()
	}
	return w
}

func (w *world) run() {
	for round := range 2 {
		for range 30 {
			w.endFaults(time.Now())
			w.step()
			time.Sleep(time.Duration(w.random.IntN(400)) * time.Millisecond)
		}
		w.endFaults(time.Time{})
		w.asks.Wait()
		w.note("quiet")
		w.check()
		w.quiet(round)
	}
	for _, c := range w.clients {
		w.once(c)
	}
}

func (w *world) note(format string, args ...any) {
	w.steps = append(w.steps, fmt.Sprintf("%6.2fs  ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// begin begins a fault, which ends by itself.
func (w *world) begin(what string, long time.Duration, end func()) {
	w.note("%s, for %s", what, long)
	w.faults = append(w.faults, fault{what, time.Now().Add(long), end})
}

// endFaults ends the faults that are due, or with a zero time all.
func (w *world) endFaults(now time.Time) {
	w.faults = slices.DeleteFunc(w.faults, func(f fault) bool {
		if !now.IsZero() && now.Before(f.until) {
			return false
		}
		w.note("over: %s", f.what)
		f.end()
		return true
	})
}

// between is a random time.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)))
}

func pick[T any](w *world, from []T) T { return from[w.random.IntN(len(from))] }

func (w *world) newClient() {
	w.made++
	n, user := pick(w, w.nodes), pick(w, userNames)
	var watch []string
	if w.random.IntN(2) == 0 {
		watch = userNames
	}
	c := newClient(w.t, n, fmt.Sprintf("c%d", w.made), user, watch)
	w.note("client %s of %s comes to %s, signs in: %t", c.name, user, n.name, watch != nil)
	w.clients = append(w.clients, c)
	for _, channel := range channelNames {
		if w.random.IntN(2) == 0 {
			w.note("client %s joins %s", c.name, channel)
			c.join(channel)
		}
	}
}

// step does one random thing.
func (w *world) step() {
	switch n := w.random.IntN(100); {
	case n < 35:
		c, channel := pick(w, w.clients), pick(w, channelNames)
		if slices.Contains(c.channels(), channel) {
			w.note("client %s leaves %s", c.name, channel)
			c.leave(channel)
		} else {
			w.note("client %s joins %s", c.name, channel)
			c.join(channel)
		}
	case n < 41 && len(w.clients) < 12:
		w.newClient()
	case n < 47 && len(w.clients) > 5:
		i := w.random.IntN(len(w.clients))
		w.note("client %s goes", w.clients[i].name)
		w.clients[i].close()
		w.clients = slices.Delete(w.clients, i, i+1)
	case n < 62:
		w.publish(pick(w, w.nodes), pick(w, channelNames), fmt.Sprintf("e%d", len(w.steps)))
	case n < 72:
		w.whisper(pick(w, w.clients), pick(w, channelNames), fmt.Sprintf("w%d", len(w.steps)))
	case n < 75:
		n, user := pick(w, w.nodes), pick(w, userNames)
		w.note("%s is to be disconnected by %s", user, n.name)
		w.asks.Go(func() { _, _ = n.ask(http.MethodPost, "/users/"+user+"/terminate_connections", nil, []byte("{}"), nil) })
	case n < 93:
		w.nodeFault(w.random.IntN(len(w.nodes)))
	default:
		w.redisFault()
	}
}

func (w *world) publish(n *node, channel, data string) {
	w.note("%s is given %s for %s", n.name, data, channel)
	_, _, run := n.at()
	p := published{data: data, channel: channel, began: time.Now(), node: n, run: run, emptied: w.emptied}
	w.asks.Go(func() {
		status, _ := n.publish(data, channel)
		if status == http.StatusOK {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.published = append(w.published, p)
		}
	})
}

func (w *world) whisper(c *client, channel, data string) {
	kind := protocol.KindOf(channel)
	if kind.NeedsAuth() && !c.node.frozen && c.whisper(channel, data) {
		w.note("client %s says %s to %s", c.name, data, channel)
	}
}

// nodeFault makes something wrong with a node, or between it and Redis.
func (w *world) nodeFault(i int) {
	n := w.nodes[i]
	kind, long := w.random.IntN(6), w.between(200*time.Millisecond, 2*lease)
	switch {
	case n.cmd == nil || n.frozen || w.cut[i]: // has its fault
	case kind == 0:
		n.kill()
		w.begin(n.name+" crashed", long/2, n.start)
	case kind == 1:
		n.stop()
		w.begin(n.name+" ended", long/2, n.start)
	case kind <= 3:
		n.freeze()
		w.begin(n.name+" is frozen", long, n.thaw)
	default:
		way := proxy.Drops
		if kind == 5 {
			way = proxy.Hangs
		}
		w.cut[i] = true
		w.proxies[i].Set(way)
		w.begin(n.name+" is cut off, its proxy "+string(way), long, func() { w.cut[i] = false; w.proxies[i].Set(proxy.Passes) })
	}
}

func (w *world) redisFault() {
	if slices.ContainsFunc(w.faults, func(f fault) bool { return strings.HasPrefix(f.what, "Redis") }) {
		return
	}
	long := w.between(300*time.Millisecond, 3*time.Second)
	if w.random.IntN(2) == 0 {
		w.redis.Freeze()
		w.begin("Redis is frozen", long, w.redis.Thaw)
		return
	}
	w.redis.Kill()
	w.emptied++
	w.begin("Redis crashed", long, w.redis.Restart)
}

// check waits until everything is as the model says.
func (w *world) check() {
	w.t.Helper()
	m := modelOf(w.clients)
	for _, n := range w.nodes { // one that has just seen Redis freeze is away for a moment more
		eventually(w.t, "readiness", func() error {
			switch text, err := n.readiness(); {
			case err != nil:
				return err
			case !strings.Contains(text, `"status":"ready"`):
				return fmt.Errorf("node %s is not ready: %s", n.name, text)
			}
			return nil
		})
	}
	for _, c := range w.clients {
		eventually(w.t, "what clients were told", func() error { return m.told(c) })
	}
	for _, n := range w.nodes {
		eventually(w.t, "the API", func() error { return m.api(n) })
	}
	eventually(w.t, "metrics", func() error { return m.metrics(w.nodes) })
	client := w.redis.Client()
	eventually(w.t, "Redis", func() error { return m.redis(context.Background(), client, 2, len(w.nodes)) })
	eventually(w.t, "webhooks", func() error { return m.hooks(w.hooks, w.emptied > 0) })
}

// quiet publishes while nothing is wrong: every event must come once, and in the
// same order to all.
func (w *world) quiet(round int) {
	w.t.Helper()
	prefix := fmt.Sprintf("q%d ", round)
	publish := func(n *node, data string) {
		if status, err := n.publish(prefix+data, channelNames...); status != http.StatusOK {
			w.t.Errorf("all is well, but publishing came to %d, %v", status, err)
		}
	}
	const each = 5
	var all sync.WaitGroup
	for _, n := range w.nodes {
		all.Go(func() {
			for i := range each {
				publish(n, fmt.Sprintf("%s %d", n.name, i))
			}
		})
	}
	for _, c := range w.clients {
		all.Go(func() {
			for _, channel := range c.channels() {
				if protocol.KindOf(channel).NeedsAuth() && !c.whisper(channel, prefix+c.name) {
					w.t.Errorf("all is well, but client %s can't say anything in %s", c.name, channel)
				}
			}
		})
	}
	all.Wait()
	for _, n := range w.nodes { // whoever has this, has all that will come
		publish(n, "end")
	}
	for _, channel := range channelNames {
		var members []*client
		for _, c := range w.clients {
			if slices.Contains(c.channels(), channel) {
				members = append(members, c)
			}
		}
		want := (each + 1) * len(w.nodes)
		if protocol.KindOf(channel).NeedsAuth() {
			want += len(members) - 1
		}
		var first []string // what the first client got
		for _, c := range members {
			var got []string
			eventually(w.t, fmt.Sprintf("events of %s for client %s", channel, c.name), func() error {
				events, _, _ := c.events(channel)
				got = slices.DeleteFunc(events, func(data string) bool { return !strings.HasPrefix(data, prefix) })
				if len(got) < want {
					return fmt.Errorf("it got only %d of %d: %q", len(got), want, got)
				}
				return nil
			})
			if len(got) > want {
				w.t.Errorf("client %s got more than was published in %s: %q", c.name, channel, got)
			}
			if first == nil {
				first = got
				continue
			}
			// Each lacks what it said itself.
			said := func(data string) bool { return data == prefix+c.name || data == prefix+members[0].name }
			a, b := slices.DeleteFunc(slices.Clone(first), said), slices.DeleteFunc(got, said)
			if !slices.Equal(a, b) {
				w.t.Errorf("in %s client %s got %q, client %s %q", channel, members[0].name, a, c.name, b)
			}
		}
	}
}

// once fails unless a client got each event at most once in each channel, and
// each one that a node had answered for while the client was there.
func (w *world) once(c *client) {
	w.t.Helper()
	for _, channel := range c.channels() {
		events, _, since := c.events(channel)
		times := map[string]int{}
		for _, data := range events {
			if !strings.HasPrefix(data, "q") {
				if times[data]++; times[data] == 2 {
					w.t.Errorf("client %s got %s twice in %s", c.name, data, channel)
				}
			}
		}
		for _, p := range w.published {
			_, _, run := p.node.at()
			lost := p.emptied != w.emptied && p.run != run // the only ones that knew of it
			if p.channel == channel && since.Before(p.began) && times[p.data] == 0 && !lost {
				w.t.Errorf("client %s, in %s from %.2fs on, never got %s, which node %s had answered for", c.name, channel, since.Sub(w.began).Seconds(), p.data, p.node.name)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errors) > 0 {
		w.t.Errorf("client %s: %q", c.name, c.errors)
	}
}
