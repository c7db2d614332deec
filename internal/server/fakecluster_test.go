package server_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

// fakeLog stands for a cluster's Redis: what its nodes add, one goroutine brings
// to all of them, in order. The first node tells webhooks.
type fakeLog struct {
	mu sync.Mutex
	// Guarded by mu.
	changed     *sync.Cond
	entries     []func()
	paused      bool
	closed      bool
	err         error // what all requests fail with
	infoErr     error // what Info fails with
	joins       int
	told        int // things that webhooks were told
	done        int // of them, those that are done with
	nodes       []*fakeNode
	channels    map[string]int // subscribers
	members     map[string]map[string]int
	users       map[string]int
	connections int
}

// fakeNode is a node's channels.Cluster.
type fakeNode struct {
	node channels.Node
	log  *fakeLog
	mu   sync.Mutex
	kept []string                    // guarded by mu
	who  map[string]*channels.Roster // guarded by mu
	left []string                    // guarded by mu: what the node had when it left
}

func newFakeLog(t testing.TB) *fakeLog {
	t.Helper()
	l := &fakeLog{channels: map[string]int{}, members: map[string]map[string]int{}, users: map[string]int{}}
	l.changed = sync.NewCond(&l.mu)
	var running sync.WaitGroup
	running.Go(l.run)
	t.Cleanup(func() {
		l.with(func() { l.closed = true })
		running.Wait()
	})
	return l
}

// node starts a daemon that is a node of the log's cluster.
func (l *fakeLog) node(t testing.TB, change ...func(*config.Config)) (*daemon, *fakeNode) {
	t.Helper()
	n := &fakeNode{log: l, who: map[string]*channels.Roster{}}
	d := startIn(t, func(node channels.Node) channels.Cluster {
		n.node = node
		l.with(func() { l.nodes = append(l.nodes, n) })
		return n
	}, change...)
	return d, n
}

func (l *fakeLog) with(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changed.Broadcast()
	f()
}

func (l *fakeLog) pause(paused bool) { l.with(func() { l.paused = paused }) }
func (l *fakeLog) fail(err error)    { l.with(func() { l.err = err }) }

func (l *fakeLog) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *fakeLog) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for !l.closed && (l.paused || len(l.entries) == 0) {
			l.changed.Wait()
		}
		if l.closed {
			return
		}
		entry := l.entries[0]
		l.entries = l.entries[1:]
		l.mu.Unlock()
		entry()
		l.mu.Lock()
	}
}

// add needs l.mu.
func (l *fakeLog) add(entry func(*fakeNode)) {
	nodes := slices.Clone(l.nodes)
	l.entries = append(l.entries, func() {
		for _, n := range nodes {
			entry(n)
		}
	})
}

// tell has the first node tell webhooks. It needs l.mu.
func (l *fakeLog) tell(what func(channels.Observer)) {
	if hooks := l.nodes[0].node.Hooks; hooks != nil {
		l.told++
		id := fmt.Sprint("id-", l.told)
		l.entries = append(l.entries, func() {
			what(hooks.Telling(id, func() bool { return true }, func() { l.with(func() { l.done++ }) }))
		})
	}
}

// state lists what is counted.
func (l *fakeLog) state() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintln(l.channels, l.members, l.users, l.connections)
}

const nothingCounted = "map[] map[] map[] 0\n"

// count counts one more or fewer, and reports whether that was the first or last.
func count(m map[string]int, key string, change int) bool {
	m[key] += change
	if m[key] == 0 {
		delete(m, key)
		return true
	}
	return change > 0 && m[key] == 1
}

// fakePlace is left once, and the log's lock is held meanwhile.
type fakePlace struct {
	log   *fakeLog
	gone  bool // guarded by log.mu
	leave func()
}

func (p *fakePlace) Leave() {
	p.log.with(func() {
		if !p.gone {
			p.gone = true
			p.leave()
		}
	})
}

func (n *fakeNode) Join(channel string, m *protocol.Member, then func([]byte, error)) channels.Place {
	l := n.log
	p := &fakePlace{log: l}
	l.with(func() {
		l.joins++
		if m != nil && l.members[channel][m.UserID] == 0 && n.node.MaxMembers > 0 && len(l.members[channel]) >= n.node.MaxMembers {
			p.leave = func() {}
			l.entries = append(l.entries, func() { then(nil, channels.ErrFull) })
			return
		}
		if count(l.channels, channel, 1) {
			l.tell(func(o channels.Observer) { o.Occupied(channel) })
		}
		if m != nil {
			if l.members[channel] == nil {
				l.members[channel] = map[string]int{}
			}
			if count(l.members[channel], m.UserID, 1) {
				l.add(func(n *fakeNode) {
					n.roster(channel, func(r *channels.Roster) { r.Add(m) })
					n.node.Hub.Tell(channel, channels.MemberAdded(channel, m))
				})
			}
		}
		// Also if the place is left meanwhile: it may be about to be called.
		l.entries = append(l.entries, func() { then(n.Roster(channel), nil) })
		p.leave = func() { n.leave(channel, m) }
	})
	return p
}

// leave needs the log's lock.
func (n *fakeNode) leave(channel string, m *protocol.Member) {
	l := n.log
	if m != nil && count(l.members[channel], m.UserID, -1) {
		if len(l.members[channel]) == 0 {
			delete(l.members, channel)
		}
		l.add(func(n *fakeNode) {
			n.roster(channel, func(r *channels.Roster) { r.Remove(m.UserID) })
			n.node.Hub.Tell(channel, channels.MemberRemoved(channel, m.UserID))
		})
	}
	if count(l.channels, channel, -1) {
		l.tell(func(o channels.Observer) { o.Vacated(channel) })
	}
}

func (n *fakeNode) roster(channel string, f func(*channels.Roster)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.who[channel] == nil {
		n.who[channel] = channels.NewRoster()
	}
	f(n.who[channel])
}

func (n *fakeNode) Roster(channel string) (encoded []byte) {
	if !protocol.KindOf(channel).IsPresence() {
		return nil
	}
	n.roster(channel, func(r *channels.Roster) { encoded = r.Encode() })
	return encoded
}

func (n *fakeNode) SignIn(userID string) channels.Place {
	l := n.log
	change := func(by int) {
		if count(l.users, userID, by) {
			l.add(func(n *fakeNode) { n.node.Users.SetOnline(userID, by > 0) })
		}
	}
	l.with(func() { change(1) })
	return &fakePlace{log: l, leave: func() { change(-1) }}
}

func (n *fakeNode) Online(userIDs []string, then func(asked, online []string)) {
	l := n.log
	l.with(func() {
		for _, id := range userIDs { // each is a part by itself
			asked, online := []string{id}, []string{}
			if l.users[id] > 0 {
				online = asked
			}
			l.entries = append(l.entries, func() { then(asked, online) })
		}
	})
}

func (n *fakeNode) Connect() channels.Place {
	n.log.with(func() { n.log.connections++ })
	return &fakePlace{log: n.log, leave: func() { n.log.connections-- }}
}

func (n *fakeNode) Publish(ctx context.Context, events []protocol.Event) error {
	if err := errors.Join(ctx.Err(), n.log.failed()); err != nil {
		return err
	}
	n.log.with(func() {
		for i := range events {
			n.log.add(func(n *fakeNode) { n.node.Deliver(&events[i], false) })
		}
	})
	return nil
}

func (n *fakeNode) Whisper(e *protocol.Event) {
	n.log.with(func() {
		n.log.add(func(n *fakeNode) { n.node.Deliver(e, false) })
		n.log.tell(func(o channels.Observer) { o.ClientEvent(e) })
	})
}

func (n *fakeNode) Terminate(ctx context.Context, userID string) error {
	if err := errors.Join(ctx.Err(), n.log.failed()); err != nil {
		return err
	}
	n.log.with(func() { n.log.add(func(n *fakeNode) { n.node.Terminate(userID) }) })
	return nil
}

func (n *fakeNode) CacheMissed(channel string) {
	n.log.with(func() { n.log.tell(func(o channels.Observer) { o.CacheMissed(channel) }) })
}

func (n *fakeNode) Kept(channel string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept = append(n.kept, channel)
}

func (n *fakeNode) Info(_ context.Context, channel string) (info channels.Info, err error) {
	n.log.with(func() { info, err = n.log.info(channel), errors.Join(n.log.err, n.log.infoErr) })
	return info, err
}

// info needs l.mu.
func (l *fakeLog) info(channel string) channels.Info {
	return channels.Info{Occupied: l.channels[channel] > 0, Subscriptions: l.channels[channel], Users: len(l.members[channel])}
}

func (n *fakeNode) Occupied(_ context.Context, prefix string) (all map[string]channels.Info, err error) {
	all = map[string]channels.Info{}
	n.log.with(func() {
		err = n.log.err
		for channel := range n.log.channels {
			if strings.HasPrefix(channel, prefix) {
				all[channel] = n.log.info(channel)
			}
		}
	})
	return all, err
}

func (n *fakeNode) Users(_ context.Context, channel string) (ids []string, err error) {
	n.log.with(func() { ids, err = slices.Sorted(maps.Keys(n.log.members[channel])), n.log.err })
	return ids, err
}

func (n *fakeNode) Connections(context.Context) (connections int, err error) {
	n.log.with(func() { connections, err = n.log.connections, n.log.err })
	return connections, err
}

func (n *fakeNode) Settle(context.Context) error {
	state := n.log.state()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = append(n.left, state)
	return nil
}

// settle waits until all that is in the log has been brought to the nodes.
func (l *fakeLog) settle(t testing.TB) {
	t.Helper()
	settled := make(chan struct{})
	l.with(func() { l.entries = append(l.entries, func() { close(settled) }) })
	select {
	case <-settled:
	case <-time.After(patience):
		t.Fatal("the log stands still")
	}
}

// wantState waits until this is all that is counted.
func (l *fakeLog) wantState(t testing.TB, want string) {
	t.Helper()
	eventually(t, func() bool { return l.state() == want }, l.state)
}
