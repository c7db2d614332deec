package server_test

import (
	"encoding/json"
	"testing"
	"time"

	"broadcastd/internal/config"
)

func shortPings(c *config.Config) {
	c.App.PingInterval = 50 * time.Millisecond
	c.App.PongTimeout = 2 * time.Second
}

const pusherPing = `{"event":"pusher:ping","data":{}}`

func (c *client) wantWebSocketPing() {
	c.t.Helper()
	if op, payload, err := c.read(); err != nil || op != opPing {
		c.t.Fatalf("waiting for a WebSocket ping: %#x %q, %v", op, payload, err)
	}
}

// TestSilentClient says nothing at all: it is asked in both ways, and sent
// away. Whether it is in a channel makes no difference.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	for _, channels := range [][]string{nil, {"jobs", "private-a"}} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			d := start(t, shortPings)
			c := d.connect(t)
			for _, channel := range channels {
				c.send(c.subscription(channel, ""))
			}
			for range channels {
				if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" {
					t.Fatalf("%+v", m)
				}
			}
			c.want(pusherPing)
			c.wantWebSocketPing()
			c.wantClose(4201)
			_ = c.nc.Close()
			d.waitMetric(t, `broadcastd_disconnections_total{reason="pong_timeout"}`, 1)
		})
	}
}

// TestAnsweringClients answer in different ways, for longer than a silent
// client would be kept.
func TestAnsweringClients(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// frameToo: only the WebSocket's own ping is answered.
		frameToo bool
		answer   []byte
	}{
		"pusher:pong":      {answer: text(`{"event":"pusher:pong","data":{}}`)},
		"any message":      {answer: text(`{"event":"pusher:unsubscribe","data":{"channel":"a"}}`)},
		"WebSocket pong":   {answer: frame(fin|opPong, ""), frameToo: true},
		"unasked-for pong": {answer: frame(fin|opPong, "I am here")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, shortPings)
			c := d.connect(t)
			for range 3 {
				c.want(pusherPing)
				if test.frameToo {
					c.wantWebSocketPing()
				}
				c.write(test.answer)
			}
			c.subscribeBetweenPings("jobs")
			d.publish(t, "jobs", "e", "{}")
			for m := c.next(); m.Event != "e"; m = c.next() {
				if m.Event != "pusher:ping" {
					t.Fatalf("%+v", m)
				}
			}
		})
	}
}

// subscribeBetweenPings lets pings come first.
func (c *client) subscribeBetweenPings(channel string) {
	c.t.Helper()
	c.send(c.subscription(channel, ""))
	for m := c.next(); m.Event != "pusher_internal:subscription_succeeded"; m = c.next() {
		if m.Event != "pusher:ping" {
			c.t.Fatalf("%+v", m)
		}
	}
}

// TestActivityTimeout is what the client is told to ping after.
func TestActivityTimeout(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.ActivityTimeout = 17 * time.Second })
	var data struct {
		ActivityTimeout int `json:"activity_timeout"`
	}
	if err := json.Unmarshal([]byte(d.open(t, appTarget).next().text(t)), &data); err != nil || data.ActivityTimeout != 17 {
		t.Errorf("activity_timeout is %d (%v), want 17", data.ActivityTimeout, err)
	}
}
