package socket

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"broadcastd/protocol"
)

// TestLargeFrame exceeds the outbox with one frame, which is not the client's
// fault, and must not make the next one fatal.
func TestLargeFrame(t *testing.T) {
	limits := generous()
	limits.MaxOutbox = 64 << 10
	ts := newTestServer(t, limits, nil)
	ws, c := ts.dial(t)
	large := strings.Repeat("x", 12<<20) // more than the kernel takes
	c.Send(text(large))
	waitFor(t, func() bool { return ts.flushers.Backlog() == 0 })
	c.Send(text("small"))
	waitFor(t, func() bool { return ts.flushers.Backlog() == 0 })
	if got := read(t, ws); got != large {
		t.Errorf("got %d bytes, want %d", len(got), len(large))
	}
	if got := read(t, ws); got != "small" {
		t.Errorf("got %.20s", got)
	}
}

// TestKilledFlusherDropsItsBacklog: an end at once must not wait for what is
// still to be broadcast.
func TestKilledFlusherDropsItsBacklog(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	link := &netLink{nc: server}
	f := newTestFlusher()
	limits := generous()
	c := &Conn{id: 1, link: link, flusher: f, limits: &limits}
	for _, w := range []work{{op: opAttach, conn: c, frame: text("a")}, {op: opJoin, conn: c, topic: 1, frame: text("b")}} {
		f.do(&w)
	}
	f.killed.Store(ReasonShutdown)
	f.do(&work{op: opBroadcast, topic: 1, frame: text("c")})
	if f.delivered.Load() != 0 || c.state != dead || c.ended.Load() != ReasonShutdown {
		t.Errorf("delivered %d, state %d, ended for %v", f.delivered.Load(), c.state, c.ended.Load())
	}
	late := &Conn{id: 2, link: link, flusher: f, limits: &limits}
	f.do(&work{op: opAttach, conn: late})
	if late.state != dead {
		t.Error("a connection that comes later lives on")
	}
	for _, c := range []*Conn{c, late} {
		f.do(&work{op: opDetach, conn: c})
	}
	if len(f.conns) != 0 {
		t.Errorf("%d connections stay", len(f.conns))
	}
}

// TestKeepAliveUnderLoad pings a silent client while the inbox never empties.
func TestKeepAliveUnderLoad(t *testing.T) {
	limits := generous()
	limits.PingInterval = 100 * time.Millisecond
	ts := newTestServer(t, limits, nil)
	ws, c := ts.dial(t)
	c.Leave(1)
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for {
			select {
			case <-stop:
				return
			default:
				ts.flushers.Broadcast(c.Flusher(), 1, protocol.Shared{Frame: text("flood")}, 0, time.Time{})
				ts.flushers.Wait()
			}
		}
	}()
	if got := read(t, ws); got != string(pingMessage.Payload()) {
		t.Errorf("got %s", got)
	}
	close(stop)
	<-flooded
}

// TestCatchingUpIsNoSilence keeps a client that reads slowly but steadily, and
// so can't answer a ping that waits behind what it has to read first.
func TestCatchingUpIsNoSilence(t *testing.T) {
	limits := generous()
	limits.MaxOutbox = 64 << 20
	limits.PingInterval, limits.PongTimeout = 200*time.Millisecond, time.Second
	ts := newTestServer(t, limits, nil)
	ws, c := ts.dial(t)
	large := strings.Repeat("x", 1<<20)
	const frames = 24 // more than the kernel takes
	for range frames {
		c.Send(text(large))
	}
	time.Sleep(2 * time.Second) // longer than both together
	for n := 0; n < frames; {
		switch got := read(t, ws); got {
		case large:
			n++
		case string(pingMessage.Payload()):
		default:
			t.Fatalf("got %d bytes", len(got))
		}
	}
	c.Send(text("still here"))
	for got := ""; got != "still here"; {
		got = read(t, ws)
	}
}

// TestTimeToCatchUp lets a client take a portion in time, and then no more.
func TestTimeToCatchUp(t *testing.T) {
	f, link := newTestFlusher(), &memory{}
	c := f.attachTest(0, link)
	f.round()
	link.full = true
	c.Send(text(strings.Repeat("x", 2*portion)))
	f.round()
	late := func() int64 { return clock() + int64(writeTimeout) + 1 }
	for range 2 {
		link.room = portion / 2
		f.watchOver(clock())
	}
	if f.watchOver(late()); c.state != dead {
		t.Fatalf("a client that takes nothing for %s is in state %d", writeTimeout, c.state)
	}
	if got := c.ended.Load(); got != ReasonSlow {
		t.Errorf("it ended for %v", got)
	}
	if len(f.watched) != 0 {
		t.Error("it is still watched")
	}
}

// TestSteadyClientStays takes a portion again and again, then all, and is no
// longer watched.
func TestSteadyClientStays(t *testing.T) {
	f, link := newTestFlusher(), &memory{}
	c := f.attachTest(0, link)
	f.round()
	link.full = true
	c.Send(text(strings.Repeat("x", 4*portion)))
	f.round()
	for range 4 {
		c.since = 1 // long ago
		link.room = portion
		f.watchOver(clock())
		if c.state != open || c.since == 1 {
			t.Fatalf("state %d after a portion", c.state)
		}
	}
	link.full = false
	f.watchOver(clock())
	if c.since != 0 || len(f.watched) != 0 || c.state != open {
		t.Errorf("a client that has caught up is behind since %d, in state %d", c.since, c.state)
	}
}

// TestSlowClientIsClosedForAnotherReason: the event that is given to a client
// before its close frame may be what it is too slow for.
func TestSlowClientIsClosedForAnotherReason(t *testing.T) {
	f, link := newTestFlusher(), &memory{}
	f.large.gather = time.Hour
	slow := f.attachTest(0, link)
	limits := generous()
	limits.MaxOutbox = 1000
	slow.limits = &limits
	slow.Join(1, text("joined"))
	for i := range sliceSize {
		f.attachTest(i+1, &memory{}).Join(1, text("joined"))
	}
	toAll := func(s string) { f.push(work{op: opBroadcast, topic: 1, frame: text(s)}) }
	toAll("the next one waits")
	for f.round() {
	}
	link.full = true
	slow.Send(text(strings.Repeat("a", 500)))
	slow.Send(text(strings.Repeat("b", 900)))
	toAll(strings.Repeat("c", 200))
	slow.Close(ReasonShutdown)
	for f.round() {
	}
	if slow.state != closing || slow.ended.Load() != ReasonShutdown {
		t.Errorf("state %d, ended for %v", slow.state, slow.ended.Load())
	}
}

// TestMissedNotice: a link that took no more, and never told that it does again,
// is tried, and then written to as before.
func TestMissedNotice(t *testing.T) {
	f, link := newTestFlusher(), &memory{}
	c := f.attachTest(0, link)
	f.round()
	link.full = true
	c.Send(text("waits"))
	f.round()
	link.full = false
	f.watchOver(clock())
	c.Send(text("doesn't"))
	f.round()
	if want := append(text("waits"), text("doesn't")...); !bytes.HasSuffix(link.got, want) {
		t.Errorf("got %q", link.got)
	}
}
