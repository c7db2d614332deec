package socket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"broadcastd/protocol"
)

// memory is a link to a client that takes what it likes.
type memory struct {
	got    []byte
	random *rand.Rand // nil: takes everything
	full   bool       // takes no more than room, then nothing
	room   int
	ended  bool
}

func (m *memory) write(b []byte) (int, error) {
	n := len(b)
	if m.random != nil && m.random.IntN(4) == 0 {
		n = m.random.IntN(len(b))
	}
	if m.full {
		n = min(n, m.room)
		m.room -= n
	}
	m.got = append(m.got, b[:n]...)
	if n < len(b) {
		return n, errWouldBlock
	}
	return n, nil
}

func (*memory) start() error { return nil }
func (*memory) idle() bool   { return true }
func (m *memory) finish()    { m.ended = true }
func (m *memory) cut()       { m.ended = true }
func (*memory) release()     {}

// newTestFlusher is one whose rounds the test runs.
func newTestFlusher() *Flusher {
	return &Flusher{
		hooks: Hooks{Written: func(time.Duration) {}}, wake: make(chan struct{}, 1),
		topics: make(topics), large: newLarge(Options{Count: 2}), scratch: make([]byte, 0, maxBatch),
	}
}

func (f *Flusher) attachTest(id int, m *memory) *Conn {
	limits := generous()
	c := &Conn{id: protocol.NewSocketID(uint64(id + 1)), flusher: f, limits: &limits, link: m, handler: nobody{}}
	c.heard.Store(clock()) // or it is pinged, once the tests have run for a minute
	f.push(work{op: opAttach, conn: c, frame: text("hello")})
	return c
}

// TestOrder plays random joins, leaves, broadcasts, direct frames and closes,
// with topics large and small, and clients that take what they like. Each
// connection must get what the inbox held for it, in that order.
func TestOrder(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		f := newTestFlusher()
		conns := make([]*Conn, 3*sliceSize)
		links := make([]*memory, len(conns))
		want := make([][]byte, len(conns))
		closed := make([]bool, len(conns))
		joined := make([]map[uint64]bool, len(conns))
		give := func(i int, frame protocol.Frame) { want[i] = append(want[i], frame...) }
		for i := range conns {
			links[i] = &memory{random: rnd}
			conns[i] = f.attachTest(i, links[i])
			joined[i] = make(map[uint64]bool)
			give(i, text("hello"))
		}
		for i := range conns { // large topics
			for topic := range uint64(2) {
				conns[i].Join(topic, text("joined"))
				joined[i][topic] = true
				give(i, text("joined"))
			}
		}
		for n := range 2000 {
			i, topic := rnd.IntN(len(conns)), uint64(rnd.IntN(6))
			frame := text(fmt.Sprint("frame ", n))
			switch action := rnd.IntN(100); {
			case action < 30:
				except := rnd.IntN(len(conns))
				f.push(work{op: opBroadcast, topic: topic, frame: frame, except: conns[except].id})
				for i := range conns {
					if joined[i][topic] && i != except {
						give(i, frame)
					}
				}
			case closed[i]:
			case action < 60:
				conns[i].Send(frame)
				give(i, frame)
			case action < 75:
				conns[i].Leave(topic)
				delete(joined[i], topic)
			case action < 98:
				if !joined[i][topic] {
					conns[i].Join(topic, frame)
					joined[i][topic] = true
					give(i, frame)
				}
			default:
				conns[i].Close(ReasonShutdown)
				give(i, protocol.CloseFrame(ReasonShutdown.Code, ReasonShutdown.Text))
				closed[i], joined[i] = true, nil
			}
			if rnd.IntN(20) == 0 {
				f.round()
			}
			if rnd.IntN(100) == 0 {
				f.tick()
			}
		}
		for f.round() {
		}
		for i, c := range conns {
			for !c.out.empty() {
				f.flush(c)
			}
			if !bytes.Equal(links[i].got, want[i]) {
				t.Fatalf("seed %d, connection %d:\ngot  %.400q\nwant %.400q", seed, i, links[i].got, want[i])
			}
			if f.flush(c); links[i].ended != closed[i] {
				t.Fatalf("seed %d, connection %d: ended %t, want %t", seed, i, links[i].ended, closed[i])
			}
		}
	}
}

// TestOvertaking: a message to one client doesn't wait for a broadcast to all,
// and doesn't come before it if the client gets both.
func TestOvertaking(t *testing.T) {
	f := newTestFlusher()
	links := make([]*memory, 10*sliceSize)
	for i := range links {
		links[i] = &memory{}
		f.attachTest(i, links[i]).Join(1, text("joined"))
	}
	alone := &memory{}
	other := f.attachTest(len(links), alone)
	for f.round() {
	}
	have := func(frame protocol.Frame) (n int) {
		for _, m := range links {
			if bytes.Contains(m.got, frame) {
				n++
			}
		}
		return n
	}
	f.push(work{op: opBroadcast, topic: 1, frame: text("to all")})
	other.Send(text("to one"))
	f.conns[0].Send(text("to one"))
	f.round()
	if !bytes.HasSuffix(alone.got, text("to one")) {
		t.Errorf("the message to one waits: %q", alone.got)
	}
	if !bytes.HasSuffix(links[0].got, append(text("to all"), text("to one")...)) {
		t.Errorf("a subscriber got %q", links[0].got)
	}
	if n := have(text("to all")); n != sliceSize+1 {
		t.Errorf("%d have the broadcast after the first round, want a slice and the one", n)
	}
	for f.round() {
	}
	if n := have(text("to all")); n != len(links) {
		t.Errorf("%d of %d have the broadcast", n, len(links))
	}
}

// TestPassesGather: what is broadcast while a large topic is given out joins
// the pass, so that a connection is written once for all of it.
func TestPassesGather(t *testing.T) {
	f := newTestFlusher()
	for i := range 4 * sliceSize {
		f.attachTest(i, &memory{}).Join(1, text("joined"))
	}
	for f.round() {
	}
	for n := range 4 { // a pass takes four rounds
		f.push(work{op: opBroadcast, topic: 1, frame: text(fmt.Sprint(n)), received: 1})
		f.round()
	}
	last := f.conns[0].link.(*memory)
	if !bytes.HasSuffix(last.got, bytes.Join([][]byte{text("0"), text("1"), text("2"), text("3")}, nil)) {
		t.Errorf("the last of the pass got %q", last.got)
	}
	rounds := 4
	for f.round() {
		rounds++
	}
	if rounds > 9 {
		t.Errorf("%d rounds, want two passes of four, and one to see that nothing is left", rounds)
	}
	if got := f.delivered.Load(); got != 4*4*sliceSize {
		t.Errorf("%d deliveries", got)
	}
}

// TestGather lets what is broadcast to a large topic soon after a pass leave
// together, but not behind what a connection gets otherwise, and not if much
// waits.
func TestGather(t *testing.T) {
	f := newTestFlusher()
	f.large.gather = time.Hour
	for i := range sliceSize {
		f.attachTest(i, &memory{}).Join(1, text("joined"))
	}
	rounds := func() {
		for f.round() {
		}
	}
	rounds()
	first, last := f.conns[0].link.(*memory), f.conns[sliceSize-1].link.(*memory)
	send := func(frame protocol.Frame) {
		f.push(work{op: opBroadcast, topic: 1, frame: frame})
		rounds()
	}
	ends := func(m *memory, frames ...protocol.Frame) bool {
		var want []byte
		for _, frame := range frames {
			want = append(want, frame...)
		}
		return bytes.HasSuffix(m.got, want)
	}
	a, b, c, d := text("a"), text("b"), text("c"), text("d")
	if send(a); !ends(first, a) || !ends(last, a) {
		t.Fatal("the first broadcast waits")
	}
	send(b)
	if send(c); !ends(first, a) || !ends(last, a) {
		t.Fatal("what came soon after a pass didn't wait")
	}
	f.conns[0].Send(d)
	if rounds(); !ends(first, a, b, c, d) || !ends(last, a) {
		t.Errorf("one got %q, another %q", first.got, last.got)
	}
	f.large.held[0].due = 1 // long ago
	if rounds(); !ends(first, a, b, c, d) || !ends(last, a, b, c) {
		t.Errorf("at last one got %q, another %q", first.got, last.got)
	}
	much := text(strings.Repeat("x", maxPending))
	if send(much); !ends(last, much) {
		t.Error("much waits")
	}
}

// TestAttendLeavesTheLargeToTheFlusher: a source that attends to its own event
// may find another's, for a large channel, and has the flusher woken for that.
func TestAttendLeavesTheLargeToTheFlusher(t *testing.T) {
	f := newTestFlusher()
	for i := range f.large.least {
		f.attachTest(i, &memory{}).Join(1, text("joined"))
	}
	for f.round() {
	}
	<-f.wake
	f.queue(work{op: opBroadcast, topic: 1, frame: text("a"), received: 1})
	f.attend(true)
	select {
	case <-f.wake:
	default:
		t.Error("nobody sees to the large broadcast")
	}
	if f.attend(true); len(f.wake) > 0 {
		t.Error("the flusher is woken for nothing")
	}
}

// reader is a link to a client that reads what the kernel has taken, a buffer
// full between two rounds.
type reader struct {
	memory
	took int
}

func (r *reader) write(b []byte) (int, error) {
	n := min(len(b), r.room)
	r.room -= n
	r.took += n
	if n < len(b) {
		return n, errWouldBlock
	}
	return n, nil
}

// TestFloodOfLargeBroadcasts is more than this machine can write: the source
// has to wait, and nobody is taken for slow.
func TestFloodOfLargeBroadcasts(t *testing.T) {
	const events = 3000
	f := newTestFlusher()
	links := make([]*reader, sliceSize+1)
	for i := range links {
		links[i] = &reader{}
		limits := generous()
		c := &Conn{id: protocol.NewSocketID(uint64(i + 1)), flusher: f, limits: &limits, link: links[i], handler: nobody{}}
		f.push(work{op: opAttach, conn: c, frame: text("hello")})
		c.Join(1, text("joined"))
	}
	frame := text(strings.Repeat("x", 1000))
	round := func() bool {
		for i, l := range links {
			l.room = 128 << 10
			f.push(work{op: opWritable, conn: f.conns[i]})
		}
		return f.round() && len(f.conns) > 0
	}
	f.round()
	for published := 0; published < events; round() {
		for ; published < events && f.backlog.Load() <= maxBacklog && f.pending.Load() <= maxPending; published++ {
			f.push(work{op: opBroadcast, topic: 1, frame: frame})
		}
	}
	for f.pending.Load() > 0 {
		round()
	}
	for range events * len(frame) / (128 << 10) {
		round()
	}
	for i, c := range f.conns {
		if want := len(text("hello")) + len(text("joined")) + events*len(frame); c.state != open || links[i].took != want {
			t.Fatalf("connection %d is in state %d and took %d bytes of %d", i, c.state, links[i].took, want)
		}
	}
}
