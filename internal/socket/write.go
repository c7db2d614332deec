package socket

import (
	"errors"
	"net"
	"time"

	"broadcastd/protocol"
)

const (
	// writeTimeout is how long a client may take what is waiting for it.
	writeTimeout = 10 * time.Second
	// linger is how long a client may take to answer a close frame.
	linger = 2 * time.Second
)

// errWouldBlock is what a sender returns when the kernel's buffer is full.
var errWouldBlock = errors.New("the socket's buffer is full")

// flush writes what the kernel takes now.
func (f *Flusher) flush(c *Conn) {
	for !c.out.empty() && !c.writing && c.state != dead {
		if c.raw == nil {
			f.catchUp(c)
			return
		}
		b := c.out.head(f.scratch)
		n, err := f.sender.send(c.raw, b)
		if n > 0 {
			c.out.taken(n, &f.spare)
			f.bytes.Add(int64(n))
		}
		switch {
		case err == nil && n == len(b):
		case err == nil, errors.Is(err, errWouldBlock):
			f.catchUp(c)
			return
		default:
			f.kill(c, ReasonLost)
			return
		}
	}
	if c.state == closing && !c.writing {
		f.shutDown(c)
	}
}

// portion is what a client has writeTimeout for, in bytes, so that a slow but
// steady one is kept.
const portion = 64 << 10

// catchUp gives all that is waiting to a goroutine, which may block.
func (f *Flusher) catchUp(c *Conn) {
	frames := make(net.Buffers, len(c.out.frames))
	for i, frame := range c.out.frames {
		frames[i] = frame
	}
	frames[0] = frames[0][c.out.written:]
	timeout := writeTimeout
	if c.state == closing {
		timeout = linger
	}
	if len(frames) > 1 { // see over
		c.inFlight = c.out.size
	}
	c.writing = true
	steady := c.state == open
	c.out.release(&f.spare)
	// Not in the goroutine, where it could undo the shorter one of close.
	err := c.nc.SetWriteDeadline(time.Now().Add(timeout))
	f.writers.Go(func() {
		n := 0
		for err == nil && len(frames) > 0 {
			var m int64
			part := cut(&frames)
			m, err = part.WriteTo(c.nc)
			n += int(m)
			if err == nil && steady {
				steady, err = c.allow(writeTimeout)
			}
		}
		f.push(work{op: opWritten, conn: c, n: n, err: err})
	})
}

// cut takes a portion off frames.
func cut(frames *net.Buffers) net.Buffers {
	var part net.Buffers
	for room := portion; room > 0 && len(*frames) > 0; {
		first := &(*frames)[0]
		if len(*first) > room {
			part = append(part, (*first)[:room])
			*first = (*first)[room:]
			break
		}
		room -= len(*first)
		part = append(part, *first)
		*frames = (*frames)[1:]
	}
	return part
}

// allow gives the client time for the next portion; once the connection is told
// to end, for all that is left.
func (c *Conn) allow(timeout time.Duration) (steady bool, err error) {
	err = c.nc.SetWriteDeadline(time.Now().Add(timeout))
	if err == nil && c.Done() { // checked last, since close may be under way
		return false, c.nc.SetWriteDeadline(time.Now().Add(linger))
	}
	return true, err
}

// written is how a catchUp ended.
func (f *Flusher) written(c *Conn, n int, err error) {
	c.writing, c.inFlight = false, 0
	f.bytes.Add(int64(n))
	var timeout net.Error
	switch {
	case c.state == dead:
	case errors.As(err, &timeout) && timeout.Timeout():
		f.kill(c, ReasonSlow)
	case err != nil:
		f.kill(c, ReasonLost)
	default:
		c.heard.Store(clock()) // it has taken everything
		f.touch(c)
	}
}

// close lets what is waiting be followed by the close frame. A slow client's
// queue is dropped, so that it may at least get that.
func (f *Flusher) close(c *Conn) {
	if c.state != open {
		return
	}
	f.seal(c)
	reason := c.ended.Load()
	if reason == ReasonSlow {
		c.out.dropQueued(&f.spare)
		if c.writing {
			// An error means that the socket is closed, and the write over.
			_ = c.nc.SetWriteDeadline(time.Now().Add(linger))
		}
	}
	if reason.Code != 0 {
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
	f.touch(c)
}

// shutDown ends our direction once all is written. Closing at once would make
// the kernel discard the close frame if the client has just sent something.
func (f *Flusher) shutDown(c *Conn) {
	c.state = shut
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the peer may be gone already
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(linger)) // ends Serve
}

// kill closes the socket, which ends Serve.
func (f *Flusher) kill(c *Conn, reason *Reason) {
	if c.state == dead {
		return
	}
	c.ended.CompareAndSwap(nil, reason)
	c.state = dead
	f.topics.leaveAll(c)
	c.out.release(&f.spare)
	_ = c.nc.Close() // nobody is left to be told
}

// detach ends the flusher's care for a connection whose Serve is over.
func (f *Flusher) detach(c *Conn) {
	f.flush(c)
	f.kill(c, ReasonLost)
	last := len(f.conns) - 1
	f.conns[c.index] = f.conns[last]
	f.conns[c.index].index = c.index
	f.conns[last] = nil
	f.conns = f.conns[:last]
}
