package socket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"broadcastd/protocol"
)

// Upgrade turns a request into a connection and sends greeting as its first
// frame. On an error the response has been written, or the connection is gone.
// The caller must Start it.
func (fs *Flushers) Upgrade(w http.ResponseWriter, r *http.Request, id protocol.SocketID, greeting protocol.Frame, limits *Limits) (*Conn, error) {
	c := &Conn{id: id, flusher: fs.pick(), limits: limits}
	c.heard.Store(clock())
	u := &upgrader{ResponseWriter: w, conn: c}
	compression := websocket.CompressionDisabled
	if limits.Compression {
		compression = websocket.CompressionNoContextTakeover
	}
	_, err := websocket.Accept(u, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // origins are a matter of each app
		CompressionMode:    compression,
	})
	if !errors.Is(err, errTaken) {
		return nil, err
	}
	if u.err != nil {
		return nil, u.err
	}
	c.flusher.push(work{op: opAttach, conn: c, frame: append(u.response, greeting...)})
	return c, nil
}

// Start lets handler get what the client sends. It is called once. On an error
// the connection has ended without it.
func (c *Conn) Start(handler Handler) error {
	c.handler = handler
	if c.in != nil {
		early := c.in.rest
		c.in = nil
		c.receive(early)
	}
	if err := c.link.start(); err != nil {
		c.flusher.push(work{op: opDetach, conn: c})
		return err
	}
	return nil
}

// upgrader stands between the WebSocket library and net/http. It lets the
// library check the request and write the response's headers, keeps these so
// that they leave in one packet with the first frame, and takes the connection
// for this package: the library's own would cost several KiB.
type upgrader struct {
	http.ResponseWriter
	conn     *Conn
	taken    bool
	response protocol.Frame
	err      error
}

// errTaken is how the library hears that it gets no connection.
var errTaken = errors.New("the connection was taken over")

// WriteHeader keeps the status of an upgrade to itself; Hijack writes it. A refusal
// ends the connection: what follows may be frames for all that a proxy knows.
func (u *upgrader) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols && !u.taken {
		u.Header().Set("Connection", "close")
		u.ResponseWriter.WriteHeader(status)
	}
}

// Write drops what the library makes of errTaken.
func (u *upgrader) Write(b []byte) (int, error) {
	if u.taken {
		return len(b), nil
	}
	return u.ResponseWriter.Write(b)
}

func (u *upgrader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("taking the connection from the HTTP server: %w", err)
	}
	u.taken = true
	var response bytes.Buffer
	response.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = u.Header().Write(&response) // a bytes.Buffer takes everything
	response.WriteString("\r\n")
	u.response = response.Bytes()
	u.conn.deflates = u.Header().Get("Sec-WebSocket-Extensions") != ""
	u.err = u.take(nc, rw.Reader)
	return nil, nil, errTaken
}

// take makes nc the link, and keeps what came with the handshake.
func (u *upgrader) take(nc net.Conn, r *bufio.Reader) error {
	err := nc.SetDeadline(time.Time{})
	if err == nil {
		u.conn.link, err = newLink(nc, u.conn)
	}
	if err != nil {
		_ = nc.Close() // the error is known
		return err
	}
	if n := r.Buffered(); n > 0 {
		early, _ := r.Peek(n) // they are there
		u.conn.keep(early)
	}
	return nil
}
