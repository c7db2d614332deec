package socket

import (
	"errors"
	"time"

	"broadcastd/protocol"
)

const (
	// writeTimeout is how long a client that is behind may take for a portion,
	// in bytes, so that a slow but steady one is kept.
	writeTimeout = 10 * time.Second
	portion      = 64 << 10
	// linger is how long a client may take for what is left when the connection
	// is to end, and again to answer the close frame.
	linger = 2 * time.Second
)

// flush writes what the link takes now.
func (f *Flusher) flush(c *Conn) {
	for !c.out.empty() && c.state != dead {
		n, err := c.link.write(c.out.head(f.scratch))
		if n > 0 {
			c.out.taken(n, &f.spare)
			f.bytes.Add(int64(n))
			c.caughtUp(n)
		}
		if err != nil {
			if errors.Is(err, errWouldBlock) {
				f.behind(c)
			} else {
				f.kill(c, ReasonLost)
			}
			return
		}
	}
	c.blocked = false
	if c.state == closing && c.link.idle() {
		f.shutDown(c)
	}
}

// behind notes that a client doesn't read as fast as it is written to.
func (f *Flusher) behind(c *Conn) {
	c.blocked = true
	if c.since == 0 {
		c.since, c.portion = clock(), 0
		f.watch(c)
	}
}

// caughtUp notes that a client's machine took n bytes.
func (c *Conn) caughtUp(n int) {
	if c.since == 0 || c.state != open {
		return
	}
	c.portion += n
	switch {
	case c.out.empty():
		c.since = 0
		c.heard.Store(clock()) // it may not have got to our ping before
	case c.portion >= portion:
		c.since, c.portion = clock(), 0
	}
}

// watch has watchOver look after a connection that may not stay as it is.
func (f *Flusher) watch(c *Conn) {
	if !c.watched {
		c.watched = true
		f.watched = append(f.watched, c)
	}
}

// watchOver ends connections whose time is up.
func (f *Flusher) watchOver(now int64) {
	kept := f.watched[:0]
	for _, c := range f.watched {
		if c.watched = f.waits(c, now); c.watched {
			kept = append(kept, c)
		}
	}
	clear(f.watched[len(kept):])
	f.watched = kept
}

// waits reports whether a connection is still to be watched. What is left for
// it is tried again, since a link tells late of a little room.
func (f *Flusher) waits(c *Conn, now int64) bool {
	f.flush(c)
	timeout := writeTimeout
	if c.state != open {
		timeout = linger
	}
	switch {
	case c.state == dead, c.since == 0:
		return false
	case now-c.since > int64(timeout):
		f.kill(c, ReasonSlow)
		return false
	}
	return true
}

// close lets what is waiting be followed by the close frame.
func (f *Flusher) close(c *Conn) {
	if c.state != open {
		return
	}
	f.giveLacking(c)
	if c.state == open { // otherwise it was too slow for that
		f.sayClose(c)
	}
}

// closeSlow drops a slow client's queue, so that it may at least get the close
// frame. If it was to end anyway, the first reason stands.
func (f *Flusher) closeSlow(c *Conn) {
	c.ended.CompareAndSwap(nil, ReasonSlow)
	c.out.dropQueued(&f.spare)
	f.sayClose(c)
}

func (f *Flusher) sayClose(c *Conn) {
	f.seal(c)
	if reason := c.ended.Load(); reason.Code != 0 {
		frame := protocol.CloseFrame(reason.Code, reason.Text)
		c.out.push(frame, &f.spare)
		if f.hooks.Trace != nil {
			f.hooks.Trace(c.id, frame)
		}
	}
}

// seal lets nothing follow what the outbox holds, or gets from close: after a
// close frame the WebSocket protocol allows no other.
func (f *Flusher) seal(c *Conn) {
	c.state = closing
	f.topics.leaveAll(c)
	c.since = clock()
	f.watch(c)
	f.touch(c)
}

// shutDown ends our direction once all is written. Closing at once would make
// the kernel discard the close frame if the client has just sent something.
func (f *Flusher) shutDown(c *Conn) {
	c.state = shut
	c.since = clock()
	c.link.finish()
}

// kill cuts the link, which ends reading.
func (f *Flusher) kill(c *Conn, reason *Reason) {
	if c.state == dead {
		return
	}
	c.ended.CompareAndSwap(nil, reason)
	c.state = dead
	f.topics.leaveAll(c)
	c.out.release(&f.spare)
	c.link.cut()
}

// detach ends the flusher's care for a connection that is read no more.
func (f *Flusher) detach(c *Conn) {
	f.flush(c)
	f.kill(c, ReasonLost)
	c.link.release()
	last := len(f.conns) - 1
	f.conns[c.index] = f.conns[last]
	f.conns[c.index].index = c.index
	f.conns[last] = nil
	f.conns = f.conns[:last]
}
