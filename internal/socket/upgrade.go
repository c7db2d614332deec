package socket

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"broadcastd/protocol"
)

// Upgrade turns a request into a connection and sends greeting as its first
// frame. On an error the response has been written. The caller runs Serve.
func (fs *Flushers) Upgrade(w http.ResponseWriter, r *http.Request, id protocol.SocketID, greeting protocol.Frame, limits *Limits) (*Conn, error) {
	c := &Conn{id: id, flusher: fs.pick(), limits: limits}
	c.heard.Store(clock())
	u := &upgrader{ResponseWriter: w, conn: c}
	ws, err := websocket.Accept(u, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // origins are a matter of each app
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(limits.MaxMessageSize))
	c.ws = ws
	c.flusher.push(work{op: opAttach, conn: c, frame: append(u.response, greeting...)})
	return c, nil
}

// The buffers of the WebSocket library, in bytes. The one for writing must
// hold a whole control frame, 127 bytes, or the frame would come in pieces.
const (
	readBuffer  = 512
	writeBuffer = 128
)

// upgrader stands between the library and net/http: it takes the connection
// away from net/http's large buffers, and keeps the response so that it leaves
// in one packet with the first frame.
type upgrader struct {
	http.ResponseWriter
	conn     *Conn
	response protocol.Frame
}

// WriteHeader keeps the status of an upgrade to itself; Hijack writes it.
func (u *upgrader) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		u.ResponseWriter.WriteHeader(status)
	}
}

func (u *upgrader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("taking the connection from the HTTP server: %w", err)
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		_ = nc.Close() // the error is known
		return nil, nil, fmt.Errorf("clearing the connection's deadline: %w", err)
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n) // they are there
		early = bytes.Clone(b)
	}
	var response bytes.Buffer
	response.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = u.Header().Write(&response) // a bytes.Buffer takes everything
	response.WriteString("\r\n")
	u.response = response.Bytes()

	u.conn.nc, u.conn.raw = nc, rawConn(nc)
	u.conn.wire = &wire{Conn: nc, conn: u.conn, early: early}
	return u.conn.wire, bufio.NewReadWriter(
		bufio.NewReaderSize(u.conn.wire, readBuffer),
		bufio.NewWriterSize(u.conn.wire, writeBuffer),
	), nil
}
