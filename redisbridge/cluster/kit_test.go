package cluster

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
	"broadcastd/protocol"
	"broadcastd/test/redistest"
)

// patience is for what takes milliseconds or a lease, on a machine that is busy.
const patience = 30 * time.Second

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// testNode is a node with one app: a cluster, and a hub whose fan-out is a list of
// what each client got.
type testNode struct {
	t          testing.TB
	cluster    *Cluster
	app        channels.Cluster
	hub        *channels.Hub
	users      *channels.Users
	hooks      *fakeHooks
	registry   *prometheus.Registry
	terminated chan string
	stop       func() // ends it at once, as a crash would
}

type nodeOptions struct {
	partitions, maxMembers, logLength int
	lease                             time.Duration
	counts, hooks                     bool
}

func startNode(t testing.TB, url string, o nodeOptions) *testNode {
	t.Helper()
	n := &testNode{t: t, terminated: make(chan string, 100), registry: prometheus.NewRegistry()}
	c, err := New(Options{
		URL: url, Prefix: "test:", Partitions: cmp.Or(o.partitions, 1), Apps: 1,
		Lease: cmp.Or(o.lease, 2*time.Second), LogLength: cmp.Or(o.logLength, 10_000), CountInterval: 50 * time.Millisecond,
		Name: func() string { return "node" }, Version: "test",
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Registerer: n.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.hub = channels.NewHub(fanout{n}, new(atomic.Uint64), channels.Options{CacheTTL: time.Minute, CacheBytes: 1 << 20})
	n.users = channels.NewUsers()
	node := channels.Node{
		App: "app", Hub: n.hub, Users: n.users, MaxMembers: o.maxMembers, MaxEventSize: 1000, SubscriptionCount: o.counts,
		Deliver:   func(e *protocol.Event, _ bool) { n.hub.Publish(e, time.Now()) },
		Terminate: func(id string) { n.terminated <- id },
	}
	if o.hooks {
		n.hooks = &fakeHooks{}
		node.Hooks = n.hooks
	}
	n.app = c.Serve(node)
	n.cluster = c
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	n.stop = func() { cancel(); <-ended }
	t.Cleanup(n.stop)
	c.Ready(t.Context())
	return n
}

// leave ends a node as SIGTERM does.
func (n *testNode) leave() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.app.Settle(ctx); err != nil {
		n.t.Error(err)
	}
	if err := n.cluster.Close(ctx); err != nil {
		n.t.Error(err)
	}
	n.stop()
}

func (n *testNode) up() bool { return n.cluster.State() == nil }

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// fanout is a channels.Fanout with one flusher.
type fanout struct{ node *testNode }

var (
	clientsMu sync.Mutex
	clientsOf = map[*testNode]map[uint64][]*client{} // by topic
)

func (fanout) Flushers() int { return 1 }

func (f fanout) Broadcast(_ int, topic uint64, frame protocol.Shared, except protocol.SocketID, _ time.Time) {
	clientsMu.Lock()
	defer clientsMu.Unlock()
	for _, c := range clientsOf[f.node][topic] {
		if c.id != except || except == 0 {
			c.got = append(c.got, string(frame.Payload()))
		}
	}
}

// client is a channels.Subscriber.
type client struct {
	node   *testNode
	id     protocol.SocketID
	got    []string // guarded by clientsMu
	places map[string]channels.Place
}

var lastID atomic.Uint64

func (n *testNode) client() *client {
	return &client{node: n, id: protocol.NewSocketID(lastID.Add(1)), places: map[string]channels.Place{}}
}

func (c *client) SocketID() protocol.SocketID { return c.id }
func (c *client) Flusher() int                { return 0 }
func (c *client) Deflates() bool              { return false }

func (c *client) Join(topic uint64, reply protocol.Frame) {
	clientsMu.Lock()
	defer clientsMu.Unlock()
	if clientsOf[c.node] == nil {
		clientsOf[c.node] = map[uint64][]*client{}
	}
	clientsOf[c.node][topic] = append(clientsOf[c.node][topic], c)
	c.got = append(c.got, string(reply.Payload()))
}

func (c *client) Leave(topic uint64) {
	clientsMu.Lock()
	defer clientsMu.Unlock()
	clientsOf[c.node][topic] = slices.DeleteFunc(clientsOf[c.node][topic], func(other *client) bool { return other == c })
}

func (c *client) Send(f protocol.Frame) {
	clientsMu.Lock()
	defer clientsMu.Unlock()
	c.got = append(c.got, string(f.Payload()))
}

// join subscribes and waits for the answer.
func (c *client) join(channel, user string) error {
	c.node.t.Helper()
	var m *protocol.Member
	if user != "" {
		m = &protocol.Member{UserID: user, Info: []byte(`{"name":"` + user + `"}`)}
	}
	answer := make(chan error, 1)
	c.places[channel] = c.node.app.Join(channel, m, func(roster []byte, err error) {
		if err == nil {
			c.node.hub.Enter(c, channel, roster)
		}
		answer <- err
	})
	select {
	case err := <-answer:
		return err
	case <-time.After(patience):
		c.node.t.Fatalf("nobody answered to a join of %s", channel)
		return nil
	}
}

func (c *client) leave(channel string) {
	c.node.hub.Exit(c, channel)
	c.places[channel].Leave()
}

// heard are the messages so far.
func (c *client) heard() []string {
	clientsMu.Lock()
	defer clientsMu.Unlock()
	return slices.Clone(c.got)
}

// hears tells whether a message with that text in it has come.
func (c *client) hears(text string) func() bool {
	return func() bool {
		return slices.ContainsFunc(c.heard(), func(m string) bool { return strings.Contains(m, text) })
	}
}

// count tells how many messages have that text in them.
func (c *client) count(text string) (n int) {
	for _, m := range c.heard() {
		if strings.Contains(m, text) {
			n++
		}
	}
	return n
}

func (n *testNode) publish(channel, name, text string, except protocol.SocketID) error {
	return n.app.Publish(context.Background(), []protocol.Event{{
		Channel: channel, Name: name, Data: protocol.QuoteData([]byte(text)), Except: except,
	}})
}

// fakeHooks remembers what it was told; unless it holds, all is done at once.
type fakeHooks struct {
	mu    sync.Mutex
	told  []string
	holds bool
	open  []func()
}

func (h *fakeHooks) Telling(id string, _ func() bool, done func()) channels.Observer {
	return fakeObserver{h, id, done}
}

func (h *fakeHooks) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.told)
}

type fakeObserver struct {
	hooks *fakeHooks
	id    string
	done  func()
}

func (o fakeObserver) tell(format string, args ...any) {
	o.hooks.mu.Lock()
	defer o.hooks.mu.Unlock()
	o.hooks.told = append(o.hooks.told, fmt.Sprintf(format, args...))
	if o.hooks.holds {
		o.hooks.open = append(o.hooks.open, o.done)
		return
	}
	o.done()
}

func (o fakeObserver) Occupied(c string)                 { o.tell("occupied %s", c) }
func (o fakeObserver) Vacated(c string)                  { o.tell("vacated %s", c) }
func (o fakeObserver) MemberAdded(c, user string)        { o.tell("added %s %s", c, user) }
func (o fakeObserver) MemberRemoved(c, user string)      { o.tell("removed %s %s", c, user) }
func (o fakeObserver) CacheMissed(c string)              { o.tell("missed %s", c) }
func (o fakeObserver) SubscriptionCount(c string, n int) { o.tell("count %s %d", c, n) }
func (o fakeObserver) ClientEvent(e *protocol.Event)     { o.tell("client %s %s", e.Channel, e.Name) }

func startRedis(t testing.TB) *redistest.Server { t.Helper(); return redistest.Start(t) }
