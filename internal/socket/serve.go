package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"broadcastd/protocol"
)

// Serve reads until the connection ends and tells why it did. It calls handle,
// one message after the other, with text that is only valid during the call.
func (c *Conn) Serve(handle func(message []byte)) *Reason {
	defer c.flusher.push(work{op: opDetach, conn: c}) // even if handle panics
	reason := c.read(handle)
	c.Close(reason)
	if reason != ReasonLost && reason != ReasonClient {
		// The flusher sets a deadline once the close frame is written.
		_, _ = io.Copy(io.Discard, c.nc)
	}
	_ = c.ws.CloseNow() // frees the library's side; ours is closed by detach
	return c.ended.Load()
}

// messages are buffers for whole messages. A connection has one only while it
// reads and handles a message.
var messages = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept.
const maxPooled = 16 << 10

func (c *Conn) read(handle func([]byte)) *Reason {
	for {
		kind, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return c.readError(err)
		}
		if kind != websocket.MessageText {
			return ReasonBinary
		}
		buf := messages.Get().(*bytes.Buffer)
		buf.Reset()
		if _, err = buf.ReadFrom(r); err != nil {
			return c.readError(err)
		}
		if !utf8.Valid(buf.Bytes()) {
			return ReasonUTF8
		}
		c.flusher.wait()
		if !c.Done() {
			handle(buf.Bytes())
		}
		if buf.Cap() <= maxPooled {
			messages.Put(buf)
		}
	}
}

// readError tells the reason behind an error of the library, which has one
// text for each and types for few.
func (c *Conn) readError(err error) *Reason {
	switch {
	case websocket.CloseStatus(err) != -1:
		return ReasonClient
	case errors.Is(err, websocket.ErrMessageTooBig):
		return ReasonTooBig
	case c.wire.broken:
		return ReasonLost
	case c.wire.closeSent:
		return ReasonProtocol
	}
	// Of what clients can do wrong, the library leaves two unanswered: a frame
	// without a mask, and a length of 2^63 or more.
	return ReasonUnmasked
}

// wire is the connection as the WebSocket library sees it. Its fields are
// owned by Serve, in whose goroutine the library reads and writes.
type wire struct {
	net.Conn
	conn      *Conn
	early     []byte // came with the handshake
	broken    bool   // reading failed
	closeSent bool   // the library wrote a close frame
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.early) > 0 {
		n := copy(p, w.early)
		if w.early = w.early[n:]; len(w.early) == 0 {
			w.early = nil
		}
		return n, nil
	}
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.conn.heard.Store(clock())
	}
	w.broken = err != nil
	return n, err
}

// Write puts a control frame into the flusher's inbox, behind what was sent
// before.
func (w *wire) Write(p []byte) (int, error) {
	w.conn.flusher.wait() // a flood of pings is read later, too
	frame := protocol.Frame(bytes.Clone(p))
	w.closeSent = w.closeSent || frame.IsClose()
	w.conn.Send(frame)
	return len(p), nil
}

// Close is the library's way to end a pending read. The socket is closed by
// the flusher, after what is still to be written.
func (w *wire) Close() error { return w.Conn.SetReadDeadline(time.Unix(1, 0)) }
