package attack

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// conn is an attacker's connection. Close it.
type conn struct {
	net.Conn
	ctx      context.Context
	r        *bufio.Reader
	socketID string
	free     func() bool
}

// dial connects attacker i. Once ctx is over, the connection fails.
func (t *Target) dial(ctx context.Context, i int) (*conn, error) {
	d := net.Dialer{}
	if t.Spread {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(i/250%250), byte(2+i%250))}
	}
	nc, err := d.DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	past := time.Unix(1, 0)
	return &conn{
		Conn: nc, ctx: ctx, r: bufio.NewReader(nc),
		free: context.AfterFunc(ctx, func() { _ = nc.SetDeadline(past) }), // of an open one it can't fail
	}, nil
}

// Close cuts the connection.
func (c *conn) Close() {
	c.free()
	_ = c.Conn.Close() // nothing more is wanted of it
}

// say writes text, and leaves it to reading to tell if that fails.
func (c *conn) say(text string) { _, _ = io.WriteString(c, text) }

// ended is what an error of reading or writing means.
func (c *conn) ended(err error) string {
	switch {
	case c.ctx.Err() != nil:
		return Held
	case err != nil:
		return Cut
	}
	return Answered
}

// unreached is what a dial's error means.
func unreached(ctx context.Context) string {
	if ctx.Err() != nil {
		return Held
	}
	return "not accepted"
}

// status reads the answer to a request, and skips its body.
func (c *conn) status() (code int, header string, err error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return 0, "", err
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.%d %d ", new(int), &code); err != nil {
		return 0, "", fmt.Errorf("the answer begins %.60q", line)
	}
	length := 0
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return 0, "", err
		}
		if line == "\r\n" {
			break
		}
		header += strings.ToLower(line)
		_, _ = fmt.Sscanf(strings.ToLower(line), "content-length: %d", &length) // most lines are others
	}
	_, err = c.r.Discard(length)
	return code, header, err
}

// answer is status as an attack's result.
func (c *conn) answer() string {
	code, _, err := c.status()
	if err != nil {
		return c.ended(err)
	}
	return fmt.Sprintf("HTTP %d", code)
}

// upgrade is a handshake's request.
func (t *Target) upgrade(key, more string) string {
	return "GET /app/" + key + "?protocol=7 HTTP/1.1\r\nHost: " + t.Addr +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: YW4gYXR0YWNrZXIgISEhIQ==\r\n" + more + "\r\n"
}

// connect dials and shakes hands, like any client.
func (t *Target) connect(ctx context.Context, i int, more string) (*conn, error) {
	c, err := t.dial(ctx, i)
	if err != nil {
		return nil, err
	}
	if err := c.shakeHands(t, more); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) shakeHands(t *Target, more string) error {
	c.say(t.upgrade(t.Key, more))
	code, _, err := c.status()
	if err == nil && code != 101 {
		err = fmt.Errorf("the handshake was answered with %d", code)
	}
	if err != nil {
		return err
	}
	_, text, err := c.next()
	if err != nil {
		return err
	}
	var m, data struct {
		Data     string
		SocketID string `json:"socket_id"`
	}
	if err := errors.Join(json.Unmarshal(text, &m), json.Unmarshal([]byte(m.Data), &data)); err != nil {
		return fmt.Errorf("the greeting is %.100q: %w", text, err)
	}
	c.socketID = data.SocketID
	return nil
}

// The opcodes of frames (RFC 6455, section 5.2).
const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
	opPong         = 10
	fin            = 0x80
	deflated       = 0x40 // RSV1
)

// frame is a client's, masked with zeros.
func frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return string(append(b, 0, 0, 0, 0)) + payload
}

func text(payload string) string { return frame(fin|opText, payload) }

// next reads a frame.
func (c *conn) next() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	var extended [8]byte
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, extended[6:])
		n = binary.BigEndian.Uint64(extended[:])
	case 127:
		_, err = io.ReadFull(c.r, extended[:])
		n = binary.BigEndian.Uint64(extended[:])
	}
	if err != nil || n > 1<<27 {
		return 0, nil, errors.Join(err, fmt.Errorf("a frame of %d bytes", n))
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return head[0] & 0xf, payload, err
}

// await reads frames until n are those that count, or the end.
func (c *conn) await(n int, counts func(opcode byte, payload []byte) bool) string {
	for n > 0 {
		opcode, payload, err := c.next()
		switch {
		case err != nil:
			return c.ended(err)
		case opcode == opClose && len(payload) >= 2:
			return fmt.Sprintf("closed %d", binary.BigEndian.Uint16(payload))
		case counts(opcode, payload):
			n--
		}
	}
	return Answered
}

// end reads until the connection's end.
func (c *conn) end() string { return c.await(1, func(byte, []byte) bool { return false }) }

// flood writes all while await reads, since a client that doesn't read would stop
// being written to, and then being read. What it got is await's.
func (c *conn) flood(all string, await func() string) string {
	go c.say(all) // Close ends it
	return await()
}

// holds reports whether a message is of one of some kinds.
func holds(kinds ...string) func(byte, []byte) bool {
	return func(_ byte, payload []byte) bool {
		for _, kind := range kinds {
			if strings.Contains(string(payload), kind) {
				return true
			}
		}
		return false
	}
}

// What messages of the daemon have in them.
const (
	joined  = `subscription_succeeded`
	refused = `subscription_error`
	failed  = `pusher:error`
	pong    = `pusher:pong`
)

func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// message is a text frame with an event for the daemon.
func message(event string, data map[string]string) string {
	b, _ := json.Marshal(map[string]any{"event": event, "data": data}) // strings always can
	return text(string(b))
}

func subscribe(channel string) string {
	return message("pusher:subscribe", map[string]string{"channel": channel})
}

func unsubscribe(channel string) string {
	return message("pusher:unsubscribe", map[string]string{"channel": channel})
}

// subscribeSigned joins a private channel, or a presence channel if there is data.
func (c *conn) subscribeSigned(key, secret, channel, data string) string {
	m := map[string]string{"channel": channel}
	signed := c.socketID + ":" + channel
	if data != "" {
		m["channel_data"] = data
		signed += ":" + data
	}
	m["auth"] = key + ":" + sign(secret, signed)
	return message("pusher:subscribe", m)
}
