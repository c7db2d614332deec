package socket

import (
	"runtime"
	"sync/atomic"
	"time"

	"broadcastd/protocol"
)

// Hooks are called from flushers' goroutines and must be quick.
type Hooks struct {
	// Written is told, for each event and flusher, the time from the event's
	// receipt until the last of the flusher's subscribers was written to.
	Written func(time.Duration)
	// Trace, if set, sees each frame as it is put into an outbox.
	Trace func(to protocol.SocketID, f protocol.Frame)
}

// Options configure Flushers.
type Options struct {
	// Count is how many; 0 means one for every two processors that Go may use:
	// the others read, decode events and serve requests meanwhile.
	Count int
	// Shortest is the shortest ping interval or pong timeout in use, which
	// decides how often connections are looked at. 0 means a minute.
	Shortest time.Duration
	// Gather is how long a channel with many connections waits after it was
	// written to, so that what comes meanwhile leaves together. 0: it doesn't.
	Gather time.Duration
	Hooks  Hooks
}

// sweep is a quarter of the shortest interval, and at most 5 s.
func (o Options) sweep() time.Duration {
	if o.Shortest == 0 {
		o.Shortest = time.Minute
	}
	return min(o.Shortest/4, 5*time.Second)
}

// Flushers are all that a process has.
type Flushers struct {
	all  []*Flusher
	next atomic.Uint64
}

// NewFlushers starts them. Stop ends them. On Linux it needs a descriptor for
// each.
func NewFlushers(o Options) (*Flushers, error) {
	if o.Count == 0 {
		o.Count = max(runtime.GOMAXPROCS(0)/2, 1)
	}
	if o.Hooks.Written == nil {
		o.Hooks.Written = func(time.Duration) {}
	}
	fs := &Flushers{}
	for i := range o.Count {
		p, err := newPoller()
		if err != nil {
			fs.Stop()
			return nil, err
		}
		fs.all = append(fs.all, newFlusher(i, p, o))
	}
	return fs, nil
}

// Flushers is their number.
func (fs *Flushers) Flushers() int { return len(fs.all) }

// Broadcast puts a frame into the inbox of one flusher, for all its
// connections in topic but one. received is when the event came in, and Attend
// has to follow; or it is zero, and the flusher is woken.
func (fs *Flushers) Broadcast(flusher int, topic uint64, f protocol.Shared, except protocol.SocketID, received time.Time) {
	w := work{op: opBroadcast, topic: topic, frame: f.Frame, deflated: f.Deflated, except: except}
	if received.IsZero() {
		fs.all[flusher].push(w)
		return
	}
	w.received = int64(received.Sub(clockBase))
	fs.all[flusher].queue(w)
}

// few is how many connections the source of an event writes to itself, if no
// flusher is awake anyway.
const few = 8

// Attend sees to an event that was broadcast to so many connections. The source
// calls it, and must hold no lock.
func (fs *Flushers) Attend(connections int) {
	for _, f := range fs.all {
		f.attend(connections <= few)
	}
}

// Wait holds a source of events back while the flushers are far behind. The
// source must hold no lock.
func (fs *Flushers) Wait() {
	for _, f := range fs.all {
		f.wait()
	}
}

// CloseAll ends every connection as [Conn.Close] does.
func (fs *Flushers) CloseAll(reason *Reason) { fs.pushAll(work{op: opCloseAll, reason: reason}) }

// CloseShare does that for one of so many parts of the connections, those whose
// socket id leaves part when divided by of.
func (fs *Flushers) CloseShare(reason *Reason, part, of uint16) {
	fs.pushAll(work{op: opCloseShare, reason: reason, share: share{part, of}})
}

// CloseGroup does that for the connections of a group that there are. It waits for
// the flushers' rounds under way.
func (fs *Flushers) CloseGroup(group any, reason *Reason) {
	for _, f := range fs.all {
		for _, c := range f.group(group) {
			c.Close(reason)
		}
	}
}

// Shorten tells of a shorter ping interval or pong timeout than Options had.
func (fs *Flushers) Shorten(shortest time.Duration) {
	for _, f := range fs.all {
		f.sweepWithin(Options{Shortest: shortest}.sweep())
	}
}

// KillAll ends every connection at once, whatever is still to be written, and
// those that come later.
func (fs *Flushers) KillAll(reason *Reason) {
	for _, f := range fs.all {
		f.killed.Store(reason)
	}
	fs.pushAll(work{op: opWake})
}

func (fs *Flushers) pushAll(w work) {
	for _, f := range fs.all {
		f.push(w)
	}
}

// Stop ends the flushers and waits for them. Every connection has ended.
func (fs *Flushers) Stop() {
	for _, f := range fs.all {
		close(f.stop)
	}
	for _, f := range fs.all {
		<-f.done
		f.poller.stop()
	}
}

// Delivered counts the copies of broadcast frames given to connections.
func (fs *Flushers) Delivered() int64 {
	return fs.sum(func(f *Flusher) *atomic.Int64 { return &f.delivered })
}

// Bytes counts what was written, in bytes, headers included.
func (fs *Flushers) Bytes() int64 {
	return fs.sum(func(f *Flusher) *atomic.Int64 { return &f.bytes })
}

// Backlog is the number of items that wait in inboxes.
func (fs *Flushers) Backlog() int64 {
	return fs.sum(func(f *Flusher) *atomic.Int64 { return &f.backlog })
}

func (fs *Flushers) sum(of func(*Flusher) *atomic.Int64) (n int64) {
	for _, f := range fs.all {
		n += of(f).Load()
	}
	return n
}

// pick spreads connections evenly.
func (fs *Flushers) pick() *Flusher {
	return fs.all[fs.next.Add(1)%uint64(len(fs.all))]
}
