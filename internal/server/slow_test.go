package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"broadcastd/internal/config"
	"broadcastd/protocol"
)

const (
	slowEvents = 200
	slowSize   = 60_000
)

// startSlow runs a daemon in which a client that reads nothing while
// slowEvents come in is too slow, and publishes them to it and to another.
func startSlow(t *testing.T) (d *daemon, slow *client) {
	t.Helper()
	d = start(t, func(c *config.Config) {
		c.App.MaxEventSize = slowSize
		c.App.MaxOutbox = 256 << 10
	})
	slow, healthy := d.dial(t), d.connect(t)
	if err := slow.nc.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	slow.write([]byte(d.handshake(appTarget)))
	slow.wantUpgrade()
	slow.wantEstablished()
	slow.subscribe("jobs")
	healthy.subscribe("jobs")

	const delivered = `broadcastd_deliveries_total`
	for i := range slowEvents {
		e := protocol.Event{Channel: "jobs", Name: "e", Data: protocol.QuoteData(fmt.Appendf(nil, "%0*d", slowSize, i))}
		if err := d.Publish("redis", appID, e); err != nil {
			t.Fatal(err)
		}
		if got, want := healthy.next().text(t), fmt.Sprintf("%0*d", slowSize, i); got != want {
			t.Fatalf("the healthy client's event %d begins with %.20q", i, got)
		}
	}
	healthy.fence()
	// All that the slow client was ever given: its outbox, what the kernel
	// takes on both sides, and the event that was too much.
	d.waitMetric(t, `broadcastd_backlog`, 0)
	if got := d.metric(t, delivered) - slowEvents; got > 50 {
		t.Errorf("%v events of %d bytes were kept for a client that reads nothing", got, slowSize)
	}
	return d, slow
}

// TestSlowConsumer never reads again.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	d, _ := startSlow(t)
	d.waitMetric(t, `broadcastd_disconnections_total{reason="slow_consumer"}`, 1)
	d.waitMetric(t, `broadcastd_subscriptions{app="app-id",kind="public"}`, 1)
	d.connect(t).fence()
}

// TestSlowConsumerReads reads again after it was given up: it gets events
// without a gap, and the reason for the end if it was quick enough.
func TestSlowConsumerReads(t *testing.T) {
	t.Parallel()
	d, slow := startSlow(t)
	if err := slow.nc.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		op, payload, err := slow.read()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
			break // cut off: it was too late
		}
		if err != nil {
			t.Fatal(err)
		}
		if op == opClose {
			if !strings.HasPrefix(string(payload), "\x10\x04") { // 4100
				t.Errorf("close frame %q, want code 4100", payload)
			}
			break
		}
		var m message
		if err := json.Unmarshal(payload, &m); err != nil || op != opText {
			t.Fatalf("opcode %#x, %d bytes: %v", op, len(payload), err)
		}
		if want := fmt.Sprintf("%0*d", slowSize, i); m.text(t) != want {
			t.Fatalf("event %d ends with %q", i, m.text(t)[slowSize-10:])
		}
	}
	_ = slow.nc.Close()
	d.waitMetric(t, `broadcastd_disconnections_total{reason="slow_consumer"}`, 1)
}

// TestSlowByOwnFault sends what has to be answered, and doesn't read answers.
func TestSlowByOwnFault(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string][]byte{
		"messages": text(`{"event":"` + strings.Repeat("e", 3000) + `"}`),
		"pings":    frame(fin|opPing, strings.Repeat("x", 125)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, func(c *config.Config) { c.App.MaxEventSize, c.App.MaxOutbox = 1<<10, 16<<10 })
			c := d.dial(t)
			c.write([]byte(d.handshake(appTarget)))
			for {
				if _, err := c.nc.Write(sent); err != nil {
					break // the daemon has had enough
				}
			}
			d.waitMetric(t, `broadcastd_disconnections_total{reason="slow_consumer"}`, 1)
		})
	}
}
