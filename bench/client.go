package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

var (
	errNothing = errors.New("there is nothing to read yet")
	// errClosed is how a connection ends that the server closed properly.
	errClosed = errors.New("the server closed the connection")
)

// stage is how far a client has come.
type stage uint8

const (
	dialling stage = iota
	upgrading
	greeted // waits for pusher:connection_established
	joining // waits for pusher_internal:subscription_succeeded, of each channel
	open
	parting // has unsubscribed, and waits for the answer to what it sent after that
	leaving
	gone
)

// client is one connection as a browser has it. Once it was started, it
// belongs to its loop's goroutine.
type client struct {
	loop     *loop
	way      way
	channels []string // to subscribe to
	sock     socket
	stage    stage
	rest     []byte // the part of a frame that has come
	joined   int    // how many of channels
	id       string // the socket id

	began                   time.Time
	established, subscribed time.Duration // since began

	// goal is told once: nil when the client has arrived, or has left, and
	// otherwise why not. Afterwards only the loop's crowd is told of errors.
	goal chan<- error

	track // of the present load
}

// way is how clients come.
type way struct {
	addr    string
	bare    bool // frames come without a handshake: from the floor
	deflate bool // permessage-deflate is asked for, and must be agreed
	asks    bool // a token comes with the handshake, and no signature afterwards
}

// advance handles what the poller reports.
func (c *client) advance() error {
	if c.stage != dialling {
		return c.receive()
	}
	if err := c.sock.connected(); err != nil {
		return err
	}
	if err := c.loop.poller.watchRead(c.sock); err != nil {
		return err
	}
	if c.way.bare {
		c.arrive()
		return nil
	}
	c.stage = upgrading
	extra := ""
	if c.way.deflate {
		extra = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	}
	if c.way.asks {
		extra += fmt.Sprintf("Authorization: Bearer token-%p\r\n", c) // each its own
	}
	return c.sock.write(fmt.Appendf(nil, "GET /app/%s?protocol=7&client=bench&version=1 HTTP/1.1\r\nHost: %s\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n%s"+
		"Sec-WebSocket-Key: dGhlIGxvYWQgY2xpZW50IQ==\r\n\r\n", benchApp.Key, c.way.addr, extra))
}

// receive reads once and handles all that is whole by then.
func (c *client) receive() error {
	b := c.loop.buffer
	before := copy(b, c.rest)
	n, err := c.sock.read(b[before:])
	if errors.Is(err, errNothing) {
		return nil
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return err
	}
	now := time.Now()
	c.loop.received += n
	b = b[:before+n]
	if c.stage == upgrading {
		if b, err = c.upgrade(b); err != nil {
			return err
		}
	}
	for c.stage != upgrading && c.stage != gone {
		f, size, err := cutFrame(b)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := c.handle(f, now); err != nil {
			return err
		}
		b = b[size:]
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

// upgrade takes the handshake's response off b, once it is all there.
func (c *client) upgrade(b []byte) ([]byte, error) {
	head, rest, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return b, nil
	}
	status, fields, _ := strings.Cut(string(head), "\r\n")
	if !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		return nil, fmt.Errorf("the handshake was answered with %s", status)
	}
	if agreed := strings.Contains(strings.ToLower(fields), "permessage-deflate"); agreed != c.way.deflate {
		return nil, fmt.Errorf("the server agreed to compress: %t; it was asked to: %t", agreed, c.way.deflate)
	}
	c.stage = greeted
	return rest, nil
}

func (c *client) handle(f wsFrame, now time.Time) error {
	switch f.opcode {
	case opText:
		text := f.payload
		if f.deflated {
			var err error
			if text, err = c.loop.inflater.inflate(text); err != nil {
				return err
			}
		}
		if c.stage >= open && c.loop.tally != nil {
			if e, ok := parseEvent(text); ok {
				c.loop.tally.take(&c.track, e, now)
				return nil
			}
		}
		return c.understand(text, now)
	case opPing:
		return c.send(opPong, f.payload)
	case opClose:
		reason := f.payload[min(2, len(f.payload)):]
		return fmt.Errorf("%w: %d %s", errClosed, closeCode(f.payload), reason)
	}
	return nil
}

// closeCode is 1005 if there is none, as RFC 6455 has it.
func closeCode(payload []byte) uint16 {
	if len(payload) < 2 {
		return 1005
	}
	return binary.BigEndian.Uint16(payload)
}

// settle tells whoever waits for the client, and reports if somebody did.
func (c *client) settle(err error) bool {
	waited := c.goal != nil
	if waited {
		c.goal <- err
		c.goal = nil
	}
	return waited
}

// end closes the connection because of err, which is what is wanted of one
// that leaves.
func (c *client) end(err error) {
	if c.stage == gone {
		return
	}
	if c.stage == leaving && (errors.Is(err, errClosed) || errors.Is(err, io.EOF)) {
		err = nil
	}
	c.stage, c.rest = gone, nil
	c.loop.forget(c)
	c.sock.close()
	if !c.settle(err) && err != nil {
		c.loop.lose(err)
	}
}
