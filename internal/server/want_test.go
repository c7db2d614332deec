package server_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
)

// want demands that the next message is this text.
func (c *client) want(text string) {
	c.t.Helper()
	if got := c.raw(); got != text {
		c.t.Fatalf("message is\n%s\nwant\n%s", got, text)
	}
}

// wantEvent demands an event of an API.
func (c *client) wantEvent(channel, name, data string) {
	c.t.Helper()
	if m := c.next(); m.Event != name || m.Channel != channel || m.text(c.t) != data {
		c.t.Fatalf("message is %s on %q with %s, want %s on %q with %q", m.Event, m.Channel, m.Data, name, channel, data)
	}
}

// fence demands that nothing was sent to the client before the answer to its
// ping: what happened before this call has arrived, or never will.
func (c *client) fence() {
	c.t.Helper()
	c.send(`{"event":"pusher:ping","data":{}}`)
	c.want(`{"event":"pusher:pong","data":{}}`)
}

// wantError demands a pusher:error.
func (c *client) wantError(code int) {
	c.t.Helper()
	var data struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	m := c.next()
	if err := json.Unmarshal(m.Data, &data); err != nil || m.Event != "pusher:error" || data.Code != code || data.Message == "" {
		c.t.Fatalf("message is %s %s, want pusher:error with code %d and a message", m.Event, m.Data, code)
	}
}

// wantRefused demands a pusher:subscription_error.
func (c *client) wantRefused(channel, kind string, status int) {
	c.t.Helper()
	var data struct {
		Type   string `json:"type"`
		Error  string `json:"error"`
		Status int    `json:"status"`
	}
	m := c.next()
	if err := json.Unmarshal(m.Data, &data); err != nil || m.Event != "pusher:subscription_error" || m.Channel != channel ||
		data.Type != kind || data.Status != status || data.Error == "" {
		c.t.Fatalf("message is %s on %.80q with %s, want pusher:subscription_error on %.80q with %s and status %d",
			m.Event, m.Channel, m.Data, channel, kind, status)
	}
}

// wantClose demands a close frame with this code, and the end after it.
func (c *client) wantClose(code int) {
	c.t.Helper()
	op, payload, err := c.read()
	if err != nil || op != opClose || len(payload) < 2 {
		c.t.Fatalf("waiting for a close frame: opcode %#x %q, %v", op, payload, err)
	}
	if got := int(binary.BigEndian.Uint16(payload)); got != code {
		c.t.Fatalf("close code %d %q, want %d", got, payload[2:], code)
	}
	if op, payload, err := c.read(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("after the close frame: opcode %#x %q, %v", op, payload, err)
	}
}
