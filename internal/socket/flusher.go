package socket

import (
	"sync"
	"sync/atomic"
	"time"

	"broadcastd/protocol"
)

// Flusher owns connections: their outboxes, their places in topics and their
// keep-alive.
type Flusher struct {
	// Static after construction.
	number int
	hooks  Hooks
	ticker *time.Ticker // of tick
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}
	poller *poller

	delivered, bytes atomic.Int64
	pending          atomic.Int64           // bytes of broadcasts that not everybody was given
	caused           atomic.Int64           // those of them that no source published: clients came or went
	killed           atomic.Pointer[Reason] // all connections are to end at once

	mu      sync.Mutex // guards the following
	inbox   []work
	backlog atomic.Int64 // len(inbox), to be read without the lock

	turn     sync.Mutex // guards the following: it is run's, or a source's in attend
	taken    []work     // the inbox of the round before, its memory to be used again
	topics   topics
	conns    []*Conn
	ending   bool  // killed was seen
	swept    int   // index into conns at which the next sweep goes on
	ticked   int64 // when tick was last called
	touched  []*Conn
	watched  []*Conn
	large    large
	received []int64 // of the events that are given out in this round
	spare    [][]protocol.Frame
	scratch  []byte
	writers  sync.WaitGroup // of netLinks
	sweep    time.Duration  // how often each connection's keep-alive is looked at
}

type op uint8

const (
	opAttach op = iota
	opDetach
	opJoin
	opLeave
	opSend
	opBroadcast
	opClose
	opCloseAll
	opCloseShare
	opWake // look at killed
	opWritable
)

// work is an item of an inbox. Which fields count depends on op.
type work struct {
	op       op
	share    share
	conn     *Conn
	topic    uint64
	frame    protocol.Frame
	deflated protocol.Frame // see protocol.Shared
	except   protocol.SocketID
	received int64 // when the event came in, on clock()
	reason   *Reason
}

// share is one of so many parts of all connections.
type share struct{ part, of uint16 }

const (
	// maxBacklog is the number of items in an inbox above which those who
	// fill it are made to wait.
	maxBacklog = 1 << 16
	// maxHeard is the same for what clients send. All wait that long for who sends
	// without a pause, and so do events.
	maxHeard = 1 << 13
	// maxPending is the same for the bytes of broadcasts. A connection may get
	// them all at once, so it is about what the kernel takes for one: who reads as
	// fast as it can must not be taken for slow because the source is faster than
	// this machine.
	maxPending = 128 << 10
	// maxBatch bounds what is copied together for one system call; what is
	// larger is written by itself.
	maxBatch = 64 << 10
)

func newFlusher(number int, poller *poller, o Options) *Flusher {
	f := &Flusher{
		number:  number,
		poller:  poller,
		hooks:   o.Hooks,
		ticker:  time.NewTicker(tickOf(o.sweep())),
		sweep:   o.sweep(),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		topics:  make(topics),
		large:   newLarge(o),
		scratch: make([]byte, 0, maxBatch),
		ticked:  clock(),
	}
	go f.run()
	return f
}

// push adds to the inbox and never waits.
func (f *Flusher) push(w work) {
	if f.queue(w) == 1 {
		f.rouse()
	}
}

// queue is push without waking anybody. It returns the inbox's length.
func (f *Flusher) queue(w work) int {
	if w.op == opBroadcast {
		f.pending.Add(int64(len(w.frame)))
		if w.received == 0 {
			f.caused.Add(int64(len(w.frame)))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inbox = append(f.inbox, w)
	f.backlog.Store(int64(len(f.inbox)))
	return len(f.inbox)
}

func (f *Flusher) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// attend sees to what was queued. If it is little, and nobody is at it, the
// caller does it: to wake another thread would cost more.
func (f *Flusher) attend(little bool) {
	switch f.backlog.Load() {
	case 0:
		return
	case 1:
		if little && f.turn.TryLock() && f.attendNow() {
			return
		}
	}
	f.rouse()
}

// attendNow has the turn, and gives it back also if something panics. It reports
// whether all was done: what it found may have been another source's, and large.
func (f *Flusher) attendNow() bool {
	defer f.turn.Unlock()
	held := len(f.large.held) // the flusher's alarm is set for these
	f.workOff()
	f.told()
	return len(f.large.held) == held
}

// wait holds a source of events back while there is much to do.
func (f *Flusher) wait() {
	for f.backlog.Load() > maxBacklog || f.pending.Load() > maxPending {
		select {
		case <-f.done: // it will never be less
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// waitToRead holds a poller back, but only for what clients cause: with one client
// all others wait to be heard, and pongs must not come too late because of a source.
func (f *Flusher) waitToRead() {
	for f.backlog.Load() > maxHeard || f.caused.Load() > maxPending {
		time.Sleep(time.Millisecond)
	}
}

const sweepParts = 16

func tickOf(sweep time.Duration) time.Duration { return max(sweep/sweepParts, time.Millisecond) }

// sweepWithin has all connections be looked at in this time, or as soon as they are
// already.
func (f *Flusher) sweepWithin(d time.Duration) {
	f.turn.Lock()
	defer f.turn.Unlock()
	if d < f.sweep {
		f.sweep = d
		f.ticker.Reset(tickOf(d))
	}
}

func (f *Flusher) run() {
	defer close(f.done)
	defer f.ticker.Stop()
	ticks := f.ticker.C
	for {
		select {
		case <-f.wake:
		case <-f.large.alarm.C:
		case <-ticks:
			f.tick()
		case <-f.stop:
			f.round()
			f.writers.Wait()
			return
		}
		for f.round() {
			select { // a flood must not keep silent clients from being noticed
			case <-ticks:
				f.tick()
			default:
			}
		}
	}
}

func (f *Flusher) tick() {
	f.turn.Lock()
	defer f.turn.Unlock()
	now := clock()
	if now-f.ticked > int64(max(f.sweep, stopTime)) {
		f.forgive(now)
	}
	f.ticked = now
	f.keepAlive(now)
	f.watchOver(now)
	f.flushTouched()
}

// round works off what the inbox holds now, and a slice of a large topic. It
// reports whether there may be more to do.
func (f *Flusher) round() bool {
	f.turn.Lock()
	defer f.turn.Unlock()
	n := f.workOff()
	f.resume()
	f.slice()
	f.told()
	if n > 0 || len(f.large.slicing) > 0 {
		return true
	}
	f.large.rest()
	return false
}

// workOff does what the inbox holds now, and returns how many items that were.
func (f *Flusher) workOff() int {
	f.mu.Lock()
	items := f.inbox
	f.inbox = f.taken[:0]
	f.backlog.Store(0)
	f.mu.Unlock()

	for i := range items {
		f.do(&items[i])
	}
	f.flushTouched()
	clear(items)
	f.taken = items
	if cap(items) > maxBacklog {
		f.taken = nil
	}
	return len(items)
}

// group lists a group's connections.
func (f *Flusher) group(group any) (conns []*Conn) {
	defer f.rouse() // for what isn't done at once, of which its source finds nothing any more
	f.turn.Lock()
	defer f.turn.Unlock()
	f.workOff() // of those that have just come
	for _, c := range f.conns {
		if c.limits.Group == group {
			conns = append(conns, c)
		}
	}
	return conns
}

// told reports the events that everybody has been written by now.
func (f *Flusher) told() {
	if len(f.received) == 0 {
		return
	}
	now := clock()
	for _, t := range f.received {
		f.hooks.Written(time.Duration(now - t))
	}
	f.received = f.received[:0]
}

func (f *Flusher) do(w *work) {
	if reason := f.killed.Load(); reason != nil {
		f.doKilled(w, reason)
		return
	}
	c := w.conn
	switch w.op {
	case opAttach:
		f.attach(c)
		f.enqueue(c, w.frame)
	case opDetach:
		f.detach(c)
	case opJoin:
		f.enqueue(c, w.frame)
		if c.state == open {
			f.topics.join(w.topic, c, f.large.latest)
		}
	case opLeave:
		f.giveLacking(c)
		f.touch(c)
		f.topics.leave(w.topic, c)
	case opSend:
		if f.enqueue(c, w.frame) && w.frame.IsClose() {
			f.seal(c)
		}
	case opBroadcast:
		f.broadcast(w)
	case opClose:
		f.close(c)
	case opCloseAll:
		for _, c := range f.conns {
			c.ended.CompareAndSwap(nil, w.reason)
			f.close(c)
		}
	case opCloseShare:
		for _, c := range f.conns {
			if uint64(c.id)%uint64(w.share.of) == uint64(w.share.part) && c.ended.CompareAndSwap(nil, w.reason) {
				f.close(c)
			}
		}
	case opWake:
	case opWritable:
		c.blocked = false
		f.flush(c)
	}
}

// doKilled works off what an inbox still holds once everything is to end: an
// end must not wait for a backlog.
func (f *Flusher) doKilled(w *work, reason *Reason) {
	if !f.ending {
		f.ending = true
		for _, c := range f.conns {
			f.kill(c, reason)
		}
	}
	switch w.op {
	case opAttach:
		f.attach(w.conn)
		f.kill(w.conn, reason)
	case opBroadcast:
		f.gave(broadcast{frame: protocol.Shared{Frame: w.frame}, received: w.received})
	case opDetach:
		f.detach(w.conn)
	}
}

func (f *Flusher) attach(c *Conn) {
	c.index = len(f.conns)
	f.conns = append(f.conns, c)
}

// enqueue puts a frame into a connection's outbox, behind what was broadcast
// before, and reports whether it did.
func (f *Flusher) enqueue(c *Conn, frame protocol.Frame) bool {
	f.giveLacking(c)
	f.touch(c)
	return f.put(c, frame)
}

// put adds a frame to what the caller sees written. It ends the connection if
// its client is too slow.
func (f *Flusher) put(c *Conn, frame protocol.Frame) bool {
	if c.state != open {
		return false
	}
	if c.over(frame) {
		f.flush(c) // a burst is not a slow client
		if c.state != open {
			return false
		}
		if c.over(frame) {
			f.closeSlow(c)
			return false
		}
	}
	c.out.push(frame, &f.spare)
	if f.hooks.Trace != nil {
		f.hooks.Trace(c.id, frame)
	}
	return true
}

// over reports whether another frame would exceed the outbox's bound. An
// empty outbox takes any frame, and the one on its way doesn't count: a large
// frame is no client's fault.
func (c *Conn) over(frame protocol.Frame) bool {
	return !c.out.empty() && c.out.queued()+len(frame) > c.limits.MaxOutbox
}

func (f *Flusher) touch(c *Conn) {
	if !c.touched {
		c.touched = true
		f.touched = append(f.touched, c)
	}
}

func (f *Flusher) flushTouched() {
	for i, c := range f.touched {
		c.touched = false
		if !c.blocked {
			f.flush(c)
		}
		f.touched[i] = nil
	}
	f.touched = f.touched[:0]
}
