package socket

import (
	"time"

	"broadcastd/protocol"
)

var (
	pingMessage = protocol.Ping()
	pingFrame   = protocol.PingFrame()
)

// keepAlive looks at a part of the connections: a silent client is pinged, and
// closed if it stays silent. There are no timers for connections.
func (f *Flusher) keepAlive(now int64) {
	n := (len(f.conns) + sweepParts - 1) / sweepParts
	for range n {
		if f.swept >= len(f.conns) {
			f.swept = 0
		}
		f.look(f.conns[f.swept], now)
		f.swept++
	}
}

// stopTime is at least how long the flusher has been away if its process was stopped
// rather than kept waiting for a processor.
const stopTime = time.Second

// forgive starts the clients' time anew when the flusher itself was away, since the
// process was stopped or its machine slept: what they sent meanwhile isn't read yet.
func (f *Flusher) forgive(now int64) {
	for _, c := range f.conns {
		switch {
		case c.heard.Load() > c.pingAt:
			c.pingAt, c.pinged = 0, false
		case c.pingAt != 0:
			c.pingAt = now
		}
		if c.since != 0 {
			c.since, c.portion = now, 0
		}
	}
}

func (f *Flusher) look(c *Conn, now int64) {
	heard := c.heard.Load()
	if heard > c.pingAt {
		c.pingAt, c.pinged = 0, false
	}
	timeout := int64(c.limits.PongTimeout)
	switch {
	case c.state != open, c.since != 0:
		// While a client catches up, a ping would wait behind what it is to
		// read first; writeTimeout guards it.
	case c.pingAt == 0:
		if now-heard >= int64(c.limits.PingInterval) {
			c.pingAt = now
			f.enqueue(c, pingMessage)
		}
	case now-c.pingAt >= timeout:
		c.ended.CompareAndSwap(nil, ReasonPongTimeout)
		f.close(c)
	case now-c.pingAt >= timeout/2 && !c.pinged:
		// A client that doesn't answer pusher:ping may still answer the
		// WebSocket's own; libraries do so by themselves.
		c.pinged = true
		f.enqueue(c, pingFrame)
	}
}
