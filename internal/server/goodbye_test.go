package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"broadcastd/internal/config"
	"broadcastd/protocol"
)

// TestShutdownCloseCode sends clients away with the other code.
func TestShutdownCloseCode(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.ShutdownCloseCode = 4100 })
	c := d.connect(t)
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop(within(t, patience)) }()
	c.wantClose(4100)
	_ = c.nc.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestDrainDelay: after the signal everything goes on, but for readiness, so that a
// load balancer can notice.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.ShutdownDelay, c.ShutdownTimeout = time.Hour, 2*time.Hour })
	early := d.connect(t)
	early.subscribe("jobs")
	enough, cancel := context.WithCancel(within(t, patience))
	drained := make(chan error, 1)
	go func() { drained <- d.Drain(enough) }()
	d.waitMetric(t, "broadcastd_draining", 1)
	if answer := d.ask(t, http.MethodGet, "http://"+d.Addr().String()+"/readyz", nil, nil); answer.status != http.StatusServiceUnavailable {
		t.Errorf("readiness answers %d", answer.status)
	}
	late := d.connect(t)
	late.subscribe("jobs")
	if err := d.Publish("redis", appID, protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"1"`)}); err != nil {
		t.Fatal(err)
	}
	early.wantEvent("jobs", "e", "1")
	late.wantEvent("jobs", "e", "1")
	cancel()
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
	go func() { _ = d.stop(within(t, patience)) }()
	for _, c := range []*client{early, late} {
		c.wantClose(4200)
		_ = c.nc.Close()
	}
}

// TestDrainSpread: clients are sent away one part after the other.
func TestDrainSpread(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.ShutdownSpread, c.ShutdownTimeout = time.Hour, 2*time.Hour })
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = d.connect(t)
	}
	enough, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- d.Drain(enough) }()
	d.waitMetric(t, "broadcastd_draining", 1)
	for _, c := range clients { // of an hour's parts hardly one has come
		c.fence()
	}
	cancel()
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
	go func() { _ = d.stop(within(t, patience)) }()
	for _, c := range clients {
		c.wantClose(4200)
		_ = c.nc.Close()
	}
}

// TestDrainAll: at the end of the spread all have been sent away.
func TestDrainAll(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.ShutdownSpread = 200 * time.Millisecond })
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = d.connect(t)
	}
	if err := d.Drain(within(t, patience)); err != nil {
		t.Errorf("Drain: %v", err)
	}
	for _, c := range clients {
		c.wantClose(4200)
		_ = c.nc.Close()
	}
}
