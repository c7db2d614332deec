package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	extensions := ""
	if c.way.deflate {
		extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	}
	return c.sock.write(fmt.Appendf(nil, "GET /app/%s?protocol=7&client=bench&version=1 HTTP/1.1\r\nHost: %s\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n%s"+
		"Sec-WebSocket-Key: dGhlIGxvYWQgY2xpZW50IQ==\r\n\r\n", benchApp.Key, c.way.addr, extensions))
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

// understand handles messages of the protocol itself.
func (c *client) understand(text []byte, now time.Time) error {
	var m struct {
		Event string
		Data  json.RawMessage
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("the message %.200q is not JSON: %w", text, err)
	}
	switch {
	case m.Event == "pusher:ping":
		return c.say("pusher:pong", nil)
	case m.Event == "pusher:connection_established" && c.stage == greeted:
		c.established = now.Sub(c.began)
		return c.join(m.Data)
	case m.Event == "pusher_internal:subscription_succeeded" && c.stage == joining:
		if c.joined++; c.joined == len(c.channels) {
			c.subscribed = now.Sub(c.began)
			c.arrive()
		}
	case strings.HasPrefix(m.Event, "pusher"):
		return fmt.Errorf("unexpected message %.200q", text)
	}
	return nil
}

// join subscribes to all channels with one write. established is the data of
// the server's greeting: a string of JSON.
func (c *client) join(established []byte) error {
	var text string
	var data struct {
		SocketID string `json:"socket_id"`
	}
	if err := json.Unmarshal(established, &text); err != nil {
		return fmt.Errorf("the greeting's data is %.200q: %w", established, err)
	}
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return fmt.Errorf("the greeting's data is %.200q: %w", text, err)
	}
	if len(c.channels) == 0 {
		c.arrive()
		return nil
	}
	c.stage = joining
	var b []byte
	for _, channel := range c.channels {
		d := map[string]string{"channel": channel}
		if strings.HasPrefix(channel, "private-") {
			d["auth"] = benchApp.Key + ":" + benchApp.sign(data.SocketID+":"+channel)
		}
		b = appendFrame(b, opText, masked, message("pusher:subscribe", d))
	}
	return c.sock.write(b)
}

func (c *client) arrive() {
	c.stage = open
	c.settle(nil)
}

// leave closes as a browser does: perhaps it unsubscribes, then a close frame,
// the server's answer, the end.
func (c *client) leave(unsubscribe bool) error {
	c.stage = leaving
	if unsubscribe {
		for _, channel := range c.channels {
			if err := c.say("pusher:unsubscribe", map[string]string{"channel": channel}); err != nil {
				return err
			}
		}
	}
	return c.send(opClose, binary.BigEndian.AppendUint16(nil, 1000))
}

func (c *client) say(event string, data map[string]string) error {
	return c.send(opText, message(event, data))
}

func (c *client) send(opcode byte, payload []byte) error {
	return c.sock.write(appendFrame(nil, opcode, masked, payload))
}

func message(event string, data map[string]string) []byte {
	text, _ := json.Marshal(map[string]any{"event": event, "data": data}) // strings always can
	return text
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
