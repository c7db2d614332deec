package socket

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"broadcastd/protocol"
)

// Limits are what an app allows its connections. They may be shared.
type Limits struct {
	MaxMessageSize int // bytes of a client's message
	// MaxOutbox bounds the bytes that wait for a client that reads too slowly.
	MaxOutbox int
	// PingInterval is the silence after which a client is pinged, PongTimeout
	// how long it may then stay silent.
	PingInterval, PongTimeout time.Duration
}

// Conn is a client's connection. Its methods may be called from anywhere and
// don't block, except Serve.
type Conn struct {
	// Static after construction.
	id      protocol.SocketID
	nc      net.Conn
	raw     syscall.RawConn // nil: there is no non-blocking call
	flusher *Flusher
	limits  *Limits
	ws      *websocket.Conn
	wire    *wire

	ended atomic.Pointer[Reason] // the first reason to end
	heard atomic.Int64           // when the client last sent anything, on clock()

	// Owned by the flusher.
	state    state
	writing  bool // a catchUp goroutine is under way
	touched  bool // in the flusher's list of this round
	pinged   bool // with the WebSocket's own ping too
	out      outbox
	inFlight int // bytes given to catchUp
	places   []place
	index    int   // in the flusher's list of connections
	pingAt   int64 // when the client was pinged; 0: it wasn't
}

type state uint8

const (
	open    state = iota
	closing       // the close frame is in the outbox, nothing may follow
	shut          // all is written, the client's side is awaited
	dead          // the socket is closed
)

// SocketID is the connection's id.
func (c *Conn) SocketID() protocol.SocketID { return c.id }

// Flusher is the number of the flusher that owns the connection.
func (c *Conn) Flusher() int { return c.flusher.number }

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

// clockBase makes clock monotonic: a step of the wall clock ends nobody.
var clockBase = time.Now()

// clock is the time in nanoseconds since the process began.
func clock() int64 { return int64(time.Since(clockBase)) }
