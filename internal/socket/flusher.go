package socket

import (
	"slices"
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
	sweep  time.Duration // how often each connection's keep-alive is looked at
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}

	delivered, bytes atomic.Int64
	killed           atomic.Pointer[Reason] // all connections are to end at once

	mu      sync.Mutex // guards the following
	inbox   []work
	backlog atomic.Int64 // len(inbox), to be read without the lock

	// Owned by run.
	taken    []work // the inbox of the round before, its memory to be used again
	topics   topics
	conns    []*Conn
	ending   bool // killed was seen
	swept    int  // index into conns at which the next sweep goes on
	touched  []*Conn
	received []time.Time
	spare    [][]protocol.Frame
	scratch  []byte
	sender   sender
	writers  sync.WaitGroup // of catchUp goroutines
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
	opWake // look at killed
	opWritten
)

// work is an item of an inbox. Which fields count depends on op.
type work struct {
	op       op
	conn     *Conn
	topic    uint64
	frame    protocol.Frame
	except   protocol.SocketID
	received time.Time
	reason   *Reason
	n        int   // bytes written
	err      error // of a write
}

const (
	// maxBacklog is the number of items in an inbox above which those who
	// fill it are made to wait.
	maxBacklog = 1 << 16
	// maxBatch bounds what is copied together for one system call; what is
	// larger is written by itself.
	maxBatch = 64 << 10
)

func newFlusher(number int, o Options) *Flusher {
	f := &Flusher{
		number:  number,
		hooks:   o.Hooks,
		sweep:   o.sweep(),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
		topics:  make(topics),
		scratch: make([]byte, 0, maxBatch),
	}
	go f.run()
	return f
}

// push adds to the inbox and never waits.
func (f *Flusher) push(w work) {
	f.mu.Lock()
	f.inbox = append(f.inbox, w)
	n := len(f.inbox)
	f.backlog.Store(int64(n))
	f.mu.Unlock()
	if n == 1 {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// wait holds a producer back while the inbox is long.
func (f *Flusher) wait() {
	for f.backlog.Load() > maxBacklog {
		time.Sleep(time.Millisecond)
	}
}

const sweepParts = 16

func (f *Flusher) run() {
	defer close(f.done)
	ticker := time.NewTicker(max(f.sweep/sweepParts, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-f.wake:
		case <-ticker.C:
			f.keepAlive()
			f.flushTouched()
		case <-f.stop:
			f.round()
			f.writers.Wait()
			return
		}
		for f.round() {
			select { // a flood must not keep silent clients from being noticed
			case <-ticker.C:
				f.keepAlive()
			default:
			}
		}
	}
}

// round works off what the inbox holds now and reports whether it held
// anything.
func (f *Flusher) round() bool {
	f.mu.Lock()
	items := f.inbox
	f.inbox = f.taken[:0]
	f.backlog.Store(0)
	f.mu.Unlock()

	for i := range items {
		f.do(&items[i])
	}
	f.flushTouched()
	if len(f.received) > 0 {
		now := time.Now()
		for _, t := range f.received {
			f.hooks.Written(now.Sub(t))
		}
		f.received = f.received[:0]
	}
	clear(items)
	f.taken = items
	if cap(items) > maxBacklog {
		f.taken = nil
	}
	return len(items) > 0
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
			f.topics.join(w.topic, c)
		}
	case opLeave:
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
	case opWake:
	case opWritten:
		f.written(c, w.n, w.err)
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
	case opDetach:
		f.detach(w.conn)
	}
}

func (f *Flusher) attach(c *Conn) {
	c.index = len(f.conns)
	f.conns = append(f.conns, c)
}

func (f *Flusher) broadcast(w *work) {
	if !w.received.IsZero() {
		f.received = append(f.received, w.received)
	}
	t := f.topics[w.topic]
	if t == nil {
		return
	}
	var delivered int64
	// From the end: a connection that turns out to be too slow leaves the
	// topic, and the last one takes its place.
	for _, e := range slices.Backward(t.entries) {
		if c := e.conn; c.id != w.except && f.enqueue(c, w.frame) {
			delivered++
		}
	}
	f.delivered.Add(delivered)
}

// enqueue puts a frame into a connection's outbox and reports whether it did;
// it ends the connection if its client is too slow.
func (f *Flusher) enqueue(c *Conn, frame protocol.Frame) bool {
	if c.state != open {
		return false
	}
	if c.over(frame) {
		f.flush(c) // a burst is not a slow client
		if c.state != open {
			return false
		}
		if c.over(frame) {
			c.ended.CompareAndSwap(nil, ReasonSlow)
			f.close(c)
			return false
		}
	}
	c.out.push(frame, &f.spare)
	f.touch(c)
	if f.hooks.Trace != nil {
		f.hooks.Trace(c.id, frame)
	}
	return true
}

// over reports whether another frame would exceed the outbox's bound. An
// empty outbox takes any frame, and one that is on its way doesn't count: a
// large frame is no client's fault.
func (c *Conn) over(frame protocol.Frame) bool {
	waiting := c.out.size + c.inFlight
	return waiting > 0 && waiting+len(frame) > c.limits.MaxOutbox
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
		f.flush(c)
		f.touched[i] = nil
	}
	f.touched = f.touched[:0]
}
