package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
	"broadcastd/protocol"
	"broadcastd/test/redistest"
)

const room = "presence-room"

func TestEventsReachEveryNodeInOneOrder(t *testing.T) {
	redis := startRedis(t)
	for _, partitions := range []int{1, 3} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			redis.Restart()
			nodes := []*testNode{}
			for range 3 {
				nodes = append(nodes, startNode(t, redis.URL(), nodeOptions{partitions: partitions}))
			}
			var clients []*client
			for _, n := range nodes {
				c := n.client()
				if err := c.join("jobs", ""); err != nil {
					t.Fatal(err)
				}
				clients = append(clients, c)
			}
			errs := make(chan error, 3)
			for i, n := range nodes {
				go func() {
					for j := range 100 {
						if err := n.publish("jobs", "e", fmt.Sprintf("%d.%d", i, j), clients[0].id); err != nil {
							errs <- err
							return
						}
					}
					errs <- nil
				}()
			}
			for range nodes {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range nodes {
				if err := n.publish("jobs", "end", "end", 0); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range clients {
				eventually(t, "the end", func() bool { return c.count(`"end"`) == 3 })
			}
			if n := len(clients[0].heard()); n != 1+3 {
				t.Errorf("the excluded client got %d messages", n)
			}
			if n := len(clients[1].heard()); n != 1+300+3 {
				t.Errorf("a client got %d messages", n)
			}
			if !slices.Equal(clients[1].heard(), clients[2].heard()) {
				t.Error("two nodes delivered in different orders")
			}
		})
	}
}

func TestMembersAreTheClusters(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{maxMembers: 2}), startNode(t, redis.URL(), nodeOptions{maxMembers: 2})
	ann, bob, bobToo := a.client(), b.client(), a.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	if !bob.hears(`\"ann\":{\"name\":\"ann\"}`)() {
		t.Errorf("the joiner's roster lacks a member of another node: %s", bob.heard())
	}
	eventually(t, "member_added on the other node", ann.hears(`member_added`))
	must(t, bobToo.join(room, "bob"))
	if err := a.client().join(room, "cid"); !errors.Is(err, channels.ErrFull) {
		t.Errorf("a third member of two: %v", err)
	}
	info, err := a.app.Info(t.Context(), room)
	if err != nil || info.Users != 2 || !info.Occupied {
		t.Errorf("info is %+v, %v", info, err)
	}
	eventually(t, "three subscriptions", func() bool {
		info, err := b.app.Info(t.Context(), room)
		return err == nil && info.Subscriptions == 3
	})
	bob.leave(room)
	must(t, b.publish(room, "after", "x", 0))
	eventually(t, "the event after one of two left", ann.hears("after"))
	if ann.count("member_removed") != 0 {
		t.Error("a user who is on another node was told to have left")
	}
	bobToo.leave(room)
	eventually(t, "member_removed", ann.hears("member_removed"))
	if n := ann.count("member_added"); n != 1 {
		t.Errorf("member_added came %d times", n)
	}
	users, err := b.app.Users(t.Context(), room)
	if err != nil || !slices.Equal(users, []string{"ann"}) {
		t.Errorf("users are %q, %v", users, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADeadNodeIsCleanedUpAfter(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	must(t, bob.join("jobs", ""))
	b.app.SignIn("a user\nof two lines")
	b.stop()
	eventually(t, "member_removed", ann.hears("member_removed"))
	eventually(t, "one channel", func() bool {
		all, err := a.app.Occupied(t.Context(), "")
		return err == nil && len(all) == 1 && all[room].Subscriptions == 1 && all[room].Users == 1
	})
	eventually(t, "nothing else", func() bool {
		n, err := redis.Client().HLen(t.Context(), "test:{app:0}:channels").Result()
		return err == nil && n == 1
	})
}

func TestANodeThatLeavesTakesEverythingBack(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{lease: time.Minute}), startNode(t, redis.URL(), nodeOptions{lease: time.Minute})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	b.leave()
	eventually(t, "member_removed", ann.hears("member_removed"))
	keys, err := redis.Client().Keys(t.Context(), "test:*node*").Result()
	if err != nil || len(keys) != 2 { // a's ledger, and nodes
		t.Errorf("keys are %q, %v", keys, err)
	}
}

func TestRedisRestartedEmpty(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	eventually(t, "member_added", ann.hears("member_added"))

	redis.Kill()
	eventually(t, "both are out of reach", func() bool { return !a.up() && !b.up() })
	if up := valueOf(t, a.registry, "broadcastd_cluster_up"); up != 0 {
		t.Errorf("broadcastd_cluster_up is %v without Redis", up)
	}
	if err := a.publish(room, "e", "x", 0); !errors.Is(err, channels.ErrAway) {
		t.Errorf("publishing without Redis: %v", err)
	}
	cid := a.client()
	must(t, cid.join(room, "cid"))
	if !cid.hears(`\"bob\"`)() || !ann.hears(`\"cid\"`)() {
		t.Error("a client that joins without Redis gets the roster that is known, and is told of to those here")
	}
	a.app.Whisper(&protocol.Event{Channel: room, Name: "client-hello", Data: []byte(`1`), Except: cid.id})
	eventually(t, "a whisper without Redis", ann.hears("client-hello"))
	bob.leave(room)

	redis.Restart()
	eventually(t, "both are back", func() bool { return a.up() && b.up() })
	eventually(t, "the metric tells so", func() bool { return valueOf(t, a.registry, "broadcastd_cluster_up") == 1 })
	dan := b.client()
	eventually(t, "the roster is right", func() bool {
		users, err := b.app.Users(t.Context(), room)
		slices.Sort(users)
		return err == nil && slices.Equal(users, []string{"ann", "cid"})
	})
	eventually(t, "clients hear of who left", ann.hears("member_removed"))
	must(t, dan.join(room, "dan"))
	eventually(t, "and of who comes", ann.hears(`\"dan\"`))
	must(t, b.publish(room, "again", "x", 0))
	for _, c := range []*client{ann, cid, dan} {
		eventually(t, "events", c.hears("again"))
	}
	for _, c := range []*client{ann, cid} {
		if n := c.count(`member_added`); n > 3 {
			t.Errorf("member_added came %d times: %q", n, c.heard())
		}
	}
}

func TestAFrozenNodePutsItsClientsBack(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	b := startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	eventually(t, "member_added", ann.hears("member_added"))
	// b loses its lease as if it had been frozen: another has cleaned up after it.
	p := b.cluster.partitions[0]
	must(t, a.cluster.partitions[0].latestSession().cleanUp(t.Context(), p.generationNow(), true))
	eventually(t, "member_removed", ann.hears("member_removed"))
	eventually(t, "bob is back", func() bool { return ann.count("member_added") == 2 })
	eventually(t, "and knows it", func() bool {
		users, err := a.app.Users(t.Context(), room)
		return err == nil && len(users) == 2
	})
	if n := bob.count("member_removed"); n > 1 {
		t.Errorf("bob heard of %d leaves", n)
	}
}

func (p *partition) generationNow() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.generation
}

func TestOneNodeTellsWebhooks(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{hooks: true, counts: true}), startNode(t, redis.URL(), nodeOptions{hooks: true, counts: true})
	ann, bob := a.client(), b.client()
	must(t, bob.join(room, "bob"))
	must(t, ann.join(room, "ann"))
	must(t, ann.join("jobs", ""))
	must(t, bob.join("jobs", ""))
	b.app.Whisper(&protocol.Event{Channel: room, Name: "client-hello", Data: []byte(`1`), Except: bob.id})
	b.app.CacheMissed("cache-x")
	bob.leave(room)
	ann.leave(room)
	want := []string{
		"occupied presence-room", "added presence-room bob", "added presence-room ann",
		"occupied jobs", "count jobs 1", "count jobs 2", "client presence-room client-hello", "missed cache-x",
		"removed presence-room bob", "removed presence-room ann", "vacated presence-room",
	}
	told := func() []string { return append(a.hooks.list(), b.hooks.list()...) }
	eventually(t, "all webhooks", func() bool { return len(told()) >= len(want) })
	if got := told(); !sameSet(got, want) {
		t.Errorf("webhooks were told\n%q, want\n%q", got, want)
	}
	if len(a.hooks.list()) != 0 && len(b.hooks.list()) != 0 {
		t.Error("two nodes told webhooks")
	}
	eventually(t, "the count", ann.hears(`{\"subscription_count\":2}`))
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// TestCountsOfALargeChannel: over 100 a count is told later, and of all nodes.
func TestCountsOfALargeChannel(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{counts: true}), startNode(t, redis.URL(), nodeOptions{counts: true})
	ann := a.client()
	must(t, ann.join("jobs", ""))
	var others []*client
	for range 60 {
		for _, n := range []*testNode{a, b} {
			c := n.client()
			must(t, c.join("jobs", ""))
			others = append(others, c)
		}
	}
	eventually(t, "the count of all", ann.hears(`{\"subscription_count\":121}`))
	for _, c := range others[:10] {
		c.leave("jobs")
	}
	eventually(t, "the count of those who stay", ann.hears(`{\"subscription_count\":111}`))
}

func TestASuccessorTellsWhatWasNotTold(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{hooks: true})
	b := startNode(t, redis.URL(), nodeOptions{hooks: true})
	must(t, b.client().join("one", ""))
	eventually(t, "the keeper tells", func() bool { return len(a.hooks.list()) == 1 })
	eventually(t, "a checkpoint", func() bool {
		told, err := redis.Client().Get(t.Context(), "test:{app:0}:hooks").Result()
		last, lastErr := redis.Client().XRevRangeN(t.Context(), "test:{app:0}:log", "+", "-", 1).Result()
		return err == nil && lastErr == nil && told == last[0].ID
	})
	a.hooks.mu.Lock()
	a.hooks.holds = true // the receiver doesn't answer
	a.hooks.mu.Unlock()
	must(t, b.client().join("two", ""))
	eventually(t, "the keeper tells, unheard", func() bool { return len(a.hooks.list()) == 2 })
	a.stop()
	eventually(t, "the successor tells", func() bool { return slices.Contains(b.hooks.list(), "occupied two") })
	if slices.Contains(b.hooks.list(), "occupied one") {
		t.Error("what was told long ago was told again")
	}
}

func TestSignedInUsers(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{partitions: 2}), startNode(t, redis.URL(), nodeOptions{partitions: 2})
	watcher := a.client()
	watch := func(list []string) {
		a.app.Online(list, func(asked, online []string) { a.users.Watch(watcher, asked, online) })
	}
	place := b.app.SignIn("bob")
	eventually(t, "bob is signed in", func() bool {
		n, err := redis.Client().HGet(t.Context(), b.app.(*app).of(userName("bob")).keys.channels, "~bob").Int()
		return err == nil && n == 1
	})
	watch([]string{"bob"})
	eventually(t, "bob is online", watcher.hears("online"))
	place.Leave()
	eventually(t, "bob is offline", watcher.hears("offline"))
	b.app.SignIn("bob")
	eventually(t, "bob is online again", func() bool { return watcher.count(`\"online\"`)+watcher.count(`"online"`) == 2 })
	b.stop()
	eventually(t, "bob's node is dead", func() bool { return watcher.count("offline") == 2 })

	must(t, a.app.Terminate(t.Context(), "bob"))
	if id := <-a.terminated; id != "bob" {
		t.Errorf("terminated %s", id)
	}
	a.app.Connect()
	eventually(t, "a connection", func() bool { n, err := a.app.Connections(t.Context()); return err == nil && n == 1 })
}

func TestCacheChannels(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	must(t, a.publish("cache-x", "e", "the last", 0))
	info, err := a.app.Info(t.Context(), "cache-x")
	if err != nil || string(info.Cached) != `"the last"` {
		t.Errorf("info is %+v, %v", info, err)
	}
	b := startNode(t, redis.URL(), nodeOptions{})
	c := b.client()
	must(t, c.join("cache-x", ""))
	if !c.hears("the last")() {
		t.Errorf("a new node's client got %q", c.heard())
	}
	// All nodes at once: the next one finds it in Redis.
	a.leave()
	b.leave()
	must(t, redis.Client().XTrimMaxLen(t.Context(), "test:{app:0}:log", 0).Err())
	d := startNode(t, redis.URL(), nodeOptions{}).client()
	must(t, d.join("cache-x", ""))
	if !d.hears("the last")() {
		t.Errorf("after all nodes had ended a client got %q", d.heard())
	}
}

func TestAnAPIAddsToTheLog(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	c := a.client()
	must(t, c.join("jobs", ""))
	add := func(fields ...string) {
		t.Helper()
		must(t, redis.Client().Do(context.Background(), append([]any{"XADD", "test:{app:0}:log", "*"}, anys(fields)...)...).Err())
	}
	add("channel", "jobs", "event", "job.posted", "data", `{"id":1}`)
	add("channel", "jobs", "event", "job.posted", "data", `{"id":2}`, "socket", c.id.String())
	add("channel", "no such name!", "event", "e", "data", "1")
	add("nonsense", "")
	add("channel", "jobs", "event", "end", "data", "1")
	eventually(t, "the end", c.hears(`"end"`))
	want := []string{`{"event":"job.posted","channel":"jobs","data":"{\"id\":1}"}`, `{"event":"end","channel":"jobs","data":"1"}`}
	if got := c.heard()[1:]; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	a.leave()
	// While no node runs, the log keeps.
	add("channel", "cache-jobs", "event", "meanwhile", "data", "1")
	d := startNode(t, redis.URL(), nodeOptions{}).client()
	must(t, d.join("cache-jobs", ""))
	eventually(t, "what was added meanwhile", d.hears("meanwhile"))
}

func anys(texts []string) (all []any) {
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

func TestAGapIsTold(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{logLength: 1})
	b := startNode(t, redis.URL(), nodeOptions{logLength: 1})
	c := b.client()
	must(t, c.join("jobs", ""))
	must(t, a.publish("jobs", "first", "x", 0))
	eventually(t, "the first event", c.hears("first"))
	p := b.cluster.partitions[0]
	p.turn.Lock() // b doesn't come to read
	for i := range 5 {
		must(t, a.publish("jobs", fmt.Sprint("missed", i), "x", 0))
	}
	must(t, redis.Client().XTrimMaxLen(t.Context(), p.keys.log, 1).Err())
	p.setDown(errors.New("cut off by the test"))
	p.turn.Unlock()
	eventually(t, "the gap is told", func() bool { return b.cluster.State() == nil && b.cluster.Losses() != nil })
}

func TestALogForANodeByItself(t *testing.T) {
	redis := startRedis(t)
	add := func(name string) {
		t.Helper()
		must(t, redis.Client().Do(context.Background(), "XADD", "test:{app:0}:log", "*", "channel", "jobs", "event", name, "data", "1").Err())
	}
	add("before the first start")
	first := listenAlone(t, redis.URL())
	add("while it runs")
	first.hears(t, "before the first start", "while it runs")
	must(t, first.cluster.Close(t.Context()))
	first.stop()
	add("while nothing runs")
	second := listenAlone(t, redis.URL())
	second.hears(t, "while nothing runs")
	redis.Kill()
	eventually(t, "Redis is away", func() bool { return second.cluster.State() != nil })
	redis.Restart()
	add("in a new Redis")
	second.hears(t, "in a new Redis")
}

// lone is a node that delivers a log by itself.
type lone struct {
	cluster *Cluster
	events  chan string
	stop    func()
}

func listenAlone(t *testing.T, url string) *lone {
	t.Helper()
	c, err := New(Options{URL: url, Prefix: "test:", Partitions: 1, Apps: 1, LogLength: 1000,
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Registerer: prometheus.NewRegistry()})
	must(t, err)
	l := &lone{cluster: c, events: make(chan string, 10)}
	c.Listen(channels.Node{App: "app", Deliver: func(e *protocol.Event, fresh bool) {
		if !fresh {
			t.Error("an API's event isn't fresh")
		}
		l.events <- e.Name
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	l.stop = func() { cancel(); <-ended }
	t.Cleanup(l.stop)
	return l
}

func (l *lone) hears(t *testing.T, names ...string) {
	t.Helper()
	for _, want := range names {
		select {
		case got := <-l.events:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("%q never came", want)
		}
	}
}

func TestNodesAgreeOnPartitions(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	b := startNode(t, redis.URL(), nodeOptions{partitions: 2})
	if err := b.cluster.Disagrees(); err == nil || !strings.Contains(err.Error(), "app has 1, here it is 2") {
		t.Errorf("a node with another number of partitions: %v", err)
	}
	if err := a.cluster.Disagrees(); err != nil {
		t.Errorf("the first node: %v", err)
	}
}

func TestRedisRestartedWithItsData(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := startNode(t, redis.URL(), nodeOptions{lease: time.Minute}), startNode(t, redis.URL(), nodeOptions{lease: time.Minute})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	p := b.cluster.partitions[0]
	generation := p.generationNow()
	p.turn.Lock() // b doesn't come to read
	must(t, a.publish(room, "before", "x", 0))
	redis.Kill()
	redis.Restart()
	p.turn.Unlock()
	eventually(t, "both are back", func() bool { return a.up() && b.up() })
	must(t, b.publish(room, "after", "x", 0))
	for _, c := range []*client{ann, bob} {
		eventually(t, "the last event", c.hears("after"))
		if n := c.count("before"); n != 1 {
			t.Errorf("what Redis had kept came %d times", n)
		}
		if n := c.count("member_removed"); n != 0 {
			t.Errorf("%d members were told to have left", n)
		}
	}
	if p.generationNow() != generation {
		t.Error("a node whose lease held has begun anew")
	}
}

func TestNodesOverTLS(t *testing.T) {
	redis := redistest.StartCluster(t, redistest.TLSArgs(t)...)
	url := "rediss://" + redis.Node(0).TLSAddr() + "?cluster=true&skip_verify=true"
	a, b := startNode(t, url, nodeOptions{partitions: 3}), startNode(t, url, nodeOptions{partitions: 3})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	must(t, a.publish(room, "hello", "x", 0))
	eventually(t, "an event from the other node", bob.hears("hello"))
	eventually(t, "a member of the other node", ann.hears("member_added"))
}
