package socket

import (
	"sync/atomic"
	"time"

	"broadcastd/protocol"
)

// Limits are what an app allows its connections. They may be shared.
type Limits struct {
	MaxMessageSize int // bytes of a client's message
	// Compression agrees to permessage-deflate with clients that offer it.
	Compression bool
	// MaxOutbox bounds the bytes that wait for a client that reads too slowly.
	MaxOutbox int
	// PingInterval is the silence after which a client is pinged, PongTimeout
	// how long it may then stay silent.
	PingInterval, PongTimeout time.Duration
	// Group is whose connections they are, for [Flushers.CloseGroup].
	Group any
}

// Handler is told what a connection's client does, one call after the other.
// It must not wait for the client, or for anything that may take long: other
// clients of the same poller wait meanwhile.
type Handler interface {
	// Message gets a message's text, which is only valid during the call.
	Message(text []byte)
	// End is called once, last, with the reason for which the connection ended.
	End(reason *Reason)
}

// Conn is a client's connection. Its methods may be called from anywhere and
// don't block.
type Conn struct {
	// Static after Start.
	id       protocol.SocketID
	link     link
	flusher  *Flusher
	limits   *Limits
	handler  Handler
	deflates bool // agreed with the client

	ended atomic.Pointer[Reason] // the first reason to end
	heard atomic.Int64           // when the client last sent anything, on clock()

	// Owned by whoever reads.
	in   *input // what has come of a message; nil between messages
	deaf bool   // what still comes is thrown away

	// Owned by the flusher.
	state   state
	touched bool // in the flusher's list of this round
	watched bool // in the flusher's list of those that may not take forever
	blocked bool // the link took no more, and will tell when it does
	pinged  bool // with the WebSocket's own ping too
	out     outbox
	places  []place
	index   int   // in the flusher's list of connections
	pingAt  int64 // when the client was pinged; 0: it wasn't
	// since is when the client began to be behind, or to end; 0: neither.
	since   int64
	portion int // bytes that it has taken since then
}

type state uint8

const (
	open    state = iota
	closing       // the close frame is in the outbox, nothing may follow
	shut          // all is written, the client's side is awaited
	dead          // the link is cut
)

// SocketID is the connection's id.
func (c *Conn) SocketID() protocol.SocketID { return c.id }

// Flusher is the number of the flusher that owns the connection.
func (c *Conn) Flusher() int { return c.flusher.number }

// Deflates reports whether the client agreed to compression.
func (c *Conn) Deflates() bool { return c.deflates }

// Join sends reply and then everything that is broadcast to topic.
func (c *Conn) Join(topic uint64, reply protocol.Frame) {
	c.flusher.push(work{op: opJoin, conn: c, topic: topic, frame: reply})
}

// Leave ends what Join began.
func (c *Conn) Leave(topic uint64) {
	c.flusher.push(work{op: opLeave, conn: c, topic: topic})
}

// Send sends a frame to this connection.
func (c *Conn) Send(f protocol.Frame) {
	c.flusher.push(work{op: opSend, conn: c, frame: f})
}

// Close ends the connection: what was sent before is still written, then the
// close frame, and the client gets a bounded time to answer. Only the first
// reason counts.
func (c *Conn) Close(reason *Reason) {
	c.ended.CompareAndSwap(nil, reason)
	c.flusher.push(work{op: opClose, conn: c})
}

// Done reports whether the connection was told to end, or broke.
func (c *Conn) Done() bool { return c.ended.Load() != nil }

// end is called by whoever reads once nothing more can come.
func (c *Conn) end() {
	c.ended.CompareAndSwap(nil, ReasonLost)
	c.flusher.push(work{op: opDetach, conn: c})
	c.handler.End(c.ended.Load())
}

// clockBase makes clock monotonic: a step of the wall clock ends nobody.
var clockBase = time.Now()

// clock is the time in nanoseconds since the process began.
func clock() int64 { return int64(time.Since(clockBase)) }
