package server_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// client is a WebSocket client that can send any bytes.
type client struct {
	t  testing.TB
	nc *net.TCPConn
	br *bufio.Reader
	id protocol.SocketID
	// extensions is what the handshake must agree on; "": nothing.
	extensions string
	compressed int // frames that came so
}

// dial opens a bare TCP connection, closed with the test.
func (d *daemon) dial(t testing.TB) *client {
	t.Helper()
	return d.dialFrom(t, "")
}

// dialFrom does so from one of this machine's addresses; "": any.
func (d *daemon) dialFrom(t testing.TB, address string) *client {
	t.Helper()
	dialer := net.Dialer{Timeout: patience}
	if address != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(address)}
	}
	nc, err := dialer.DialContext(t.Context(), "tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &client{t: t, nc: nc.(*net.TCPConn), br: bufio.NewReader(nc), extensions: d.extensions}
}

// appTarget is where clients of the app connect.
const appTarget = "/app/" + appKey + "?protocol=7&client=js&version=8.6.0&flash=false"

// handshake is a request to open a WebSocket. header are further lines, such
// as "Origin: https://example.com".
func (d *daemon) handshake(target string, header ...string) string {
	lines := append([]string{
		"GET " + d.path + target + " HTTP/1.1",
		"Host: localhost", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
	}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// open makes a WebSocket connection.
func (d *daemon) open(t testing.TB, target string, header ...string) *client {
	t.Helper()
	c := d.dial(t)
	c.write([]byte(d.handshake(target, header...)))
	c.wantUpgrade()
	return c
}

// connect makes a connection that may subscribe.
func (d *daemon) connect(t testing.TB, header ...string) *client {
	t.Helper()
	c := d.open(t, appTarget, header...)
	c.wantEstablished()
	return c
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if err := c.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatalf("writing to the daemon: %v", err)
	}
}

// wantUpgrade reads the handshake's response.
func (c *client) wantUpgrade() {
	c.t.Helper()
	res := c.response()
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(res.Body)
		c.t.Fatalf("handshake: %s %s (%v)", res.Status, body, err)
	}
	// The first is RFC 6455's own example.
	for name, want := range map[string]string{
		"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade": "websocket",
		"Connection": "Upgrade", "Sec-WebSocket-Extensions": c.extensions,
	} {
		if got := res.Header.Get(name); got != want {
			c.t.Errorf("handshake: %s is %q, want %q", name, got, want)
		}
	}
}

func (c *client) response() *http.Response {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatalf("reading a response: %v", err)
	}
	return res
}

func (c *client) wantEstablished() {
	c.t.Helper()
	var data struct {
		SocketID        string `json:"socket_id"`
		ActivityTimeout int    `json:"activity_timeout"`
	}
	m := c.next()
	if err := json.Unmarshal([]byte(m.text(c.t)), &data); err != nil || m.Event != "pusher:connection_established" {
		c.t.Fatalf("greeting is %+v (%v)", m, err)
	}
	id, ok := protocol.ParseSocketID(data.SocketID)
	if !ok || id == 0 || data.ActivityTimeout != 120 {
		c.t.Fatalf("greeting has data %+v", data)
	}
	c.id = id
}

// Opcodes, and the bits of a last and of a compressed frame (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	fin            = 0x80
	rsv1           = 0x40 // compressed (RFC 7692, section 6)
)

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame is a client's frame, masked. head is its first byte.
func frame(head byte, payload string) []byte {
	b := append(header(head, 0x80, uint64(len(payload))), maskKey[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^maskKey[i%4])
	}
	return b
}

func text(payload string) []byte { return frame(fin|opText, payload) }

// header is a frame's beginning; mask is 0x80 or 0.
func header(head, mask byte, length uint64) []byte {
	switch {
	case length < 126:
		return []byte{head, mask | byte(length)}
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16([]byte{head, mask | 126}, uint16(length))
	}
	return binary.BigEndian.AppendUint64([]byte{head, mask | 127}, length)
}

func closeFrame(code uint16, reason string) []byte {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// errBadFrame is what a server must never send.
var errBadFrame = errors.New("fragmented, masked, or with reserved bits")

// read returns the next frame's opcode and payload, inflated if it must be.
func (c *client) read() (op byte, payload []byte, err error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(c.br, head[:]); err != nil {
		return 0, nil, err
	}
	compressed := c.extensions != "" && head[0] == fin|rsv1|opText
	if head[0]&0xf0 != fin && !compressed || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("frame begins with % x: %w", head, errBadFrame)
	}
	n := uint64(head[1])
	if extended := map[uint64]int{126: 2, 127: 8}[n]; extended > 0 {
		var b [8]byte
		if _, err := io.ReadFull(c.br, b[8-extended:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.br, payload)
	if compressed && err == nil {
		c.compressed++
		payload, err = inflate(payload)
	}
	return head[0] & 0xf, payload, err
}

// message is what the daemon sends.
type message struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	UserID  string          `json:"user_id"`
}

// text is the data that events of an API carry as a string.
func (m message) text(t testing.TB) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(m.Data, &s); err != nil {
		t.Fatalf("data of %s is not a string: %s", m.Event, m.Data)
	}
	return s
}

// raw returns the next frame, which must be a text.
func (c *client) raw() string {
	c.t.Helper()
	op, payload, err := c.read()
	if err != nil || op != opText {
		c.t.Fatalf("waiting for a message: opcode %#x %q, %v", op, payload, err)
	}
	return string(payload)
}

func (c *client) next() message {
	c.t.Helper()
	var m message
	text := c.raw()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatalf("message is not JSON: %q", text)
	}
	return m
}

func (c *client) send(message string) {
	c.t.Helper()
	c.write(text(message))
}

// subscription is a pusher:subscribe, signed if the channel needs it. On
// presence channels the client is the user user.
func (c *client) subscription(channel, user string) string {
	data := map[string]string{"channel": channel}
	if kind := protocol.KindOf(channel); kind.NeedsAuth() {
		if kind.IsPresence() {
			data["channel_data"] = `{"user_id":"` + user + `","user_info":{"name":"` + strings.ToUpper(user) + `"}}`
		}
		data["auth"] = auth.SignChannel(appKey, appSecret, c.id, channel, data["channel_data"])
	}
	return string(mustJSON(c.t, map[string]any{"event": "pusher:subscribe", "data": data}))
}

// subscribe joins channels and waits until the client is in them.
func (c *client) subscribe(channels ...string) {
	c.t.Helper()
	for _, channel := range channels {
		c.send(c.subscription(channel, "u1"))
		if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" || m.Channel != channel {
			c.t.Fatalf("subscribing to %q: %s %s", channel, m.Event, m.Data)
		}
		if protocol.KindOf(channel).IsCache() {
			c.next() // the last event, or that there is none
		}
	}
}

func (c *client) unsubscribe(channel string) {
	c.t.Helper()
	c.send(`{"event":"pusher:unsubscribe","data":{"channel":"` + channel + `"}}`)
}
