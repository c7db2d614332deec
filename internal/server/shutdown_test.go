package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/protocol"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// TestShutdown accepts events and shuts down: they are delivered, and then the
// clients are told to reconnect.
func TestShutdown(t *testing.T) {
	t.Parallel()
	d := start(t)
	const events = 500
	clients := make([]*client, 5)
	for i := range clients {
		clients[i] = d.connect(t)
		clients[i].subscribe("jobs")
	}
	idle := d.connect(t)
	for i := range events {
		e := protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(fmt.Sprintf(`"%d"`, i))}
		if err := d.Publish("redis", appID, e); err != nil {
			t.Fatal(err)
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop(within(t, patience)) }()
	for _, c := range clients {
		for i := range events {
			c.wantEvent("jobs", "e", fmt.Sprint(i))
		}
		c.wantClose(4200)
		_ = c.nc.Close()
	}
	idle.wantClose(4200)
	_ = idle.nc.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := d.metric(t, `broadcastd_disconnections_total{reason="shutdown"}`); got != 6 {
		t.Errorf("%v clients ended by the shutdown, want 6", got)
	}
	for _, line := range []string{`broadcastd_connections{app="app-id"}`, `broadcastd_subscriptions{app="app-id",kind="public"}`, `broadcastd_channels{app="app-id",kind="public"}`} {
		if got := d.metric(t, line); got != 0 {
			t.Errorf("%s is %v after the shutdown", line, got)
		}
	}
	if conn, err := net.Dial("tcp", d.Addr().String()); err == nil {
		conn.Close()
		t.Error("still accepts connections")
	}

	// Whoever comes second finds it done.
	if err := d.Shutdown(within(t, patience)); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
	d.Close()
	d.Close()
	if err := d.Serve(); err != nil {
		t.Errorf("Serve after all: %v", err)
	}
}

// TestDrain has requests that come to their end only while the server drains: one
// that has just connected is answered, one that never ends is waited for, and
// clients hear meanwhile what is published.
func TestDrain(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.connect(t)
	c.subscribe("jobs")
	open := func(text string) net.Conn {
		nc, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_, _ = io.WriteString(nc, text)
		return nc
	}
	late := open("")
	open("POST /apps/x/events HTTP/1.1\r\n")
	d.ask(t, http.MethodGet, "http://"+d.Addr().String()+"/up", nil, nil) // connections are taken in their order

	drained := make(chan error, 1)
	go func() { drained <- d.Drain(within(t, patience)) }()
	for { // until it has begun
		nc, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			break
		}
		_ = nc.Close()
	}
	_, _ = io.WriteString(late, "GET /up HTTP/1.1\r\nHost: x\r\n\r\n")
	if answer, err := io.ReadAll(late); !strings.HasPrefix(string(answer), "HTTP/1.1 200") ||
		!strings.Contains(string(answer), "Connection: close") {
		t.Errorf("who had connected before got %q, %v", answer, err)
	}
	if err := d.Publish("redis", appID, protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"1"`)}); err != nil {
		t.Fatal(err)
	}
	c.wantEvent("jobs", "e", "1")
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
	go func() { _ = d.stop(within(t, patience)) }()
	c.wantClose(4200)
	_ = c.nc.Close()
}

// TestShutdownNotReading has a client that reads nothing at all, so that the
// kernel takes no more for it.
func TestShutdownNotReading(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxOutbox = 64 << 20 })
	c := d.connect(t)
	c.subscribe("jobs")
	data := protocol.QuoteData([]byte(strings.Repeat("x", 100_000)))
	for range 200 {
		if err := d.Publish("redis", appID, protocol.Event{Channel: "jobs", Name: "e", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.stop(within(t, time.Second)); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("Shutdown: %v, want that it cut clients off", err)
	}
}

// TestShutdownNotClosing has a client that reads but doesn't close its side,
// and a request that never becomes whole.
func TestShutdownNotClosing(t *testing.T) {
	t.Parallel()
	d := start(t)
	c, half := d.connect(t), d.dial(t)
	half.write([]byte("GET /up HT"))
	if err := d.stop(within(t, patience)); err != nil && !strings.Contains(err.Error(), "HTTP requests") {
		t.Error(err)
	}
	c.wantClose(4200)
}

// TestShutdownWhileConnecting shuts down while clients come, as they do after
// other instances have sent theirs away.
func TestShutdownWhileConnecting(t *testing.T) {
	t.Parallel()
	for range 5 {
		d := start(t)
		handshake := d.handshake(appTarget)
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for {
					conn, err := net.Dial("tcp", d.Addr().String())
					if err != nil {
						return
					}
					_ = conn.SetDeadline(time.Now().Add(patience))
					_, _ = io.WriteString(conn, handshake)
					head := make([]byte, 12)
					_, _ = io.ReadFull(conn, head) // any end is fine here
					conn.Close()
				}
			})
		}
		const connections = `broadcastd_connections_total{app="app-id"}`
		eventually(t, func() bool { return d.metric(t, connections) >= 20 }, func() string { return "too few connections" })
		if err := d.stop(within(t, patience)); err != nil {
			t.Error(err)
		}
		clients.Wait()
	}
}

// TestCloseUnserved closes what was never served.
func TestCloseUnserved(t *testing.T) {
	t.Parallel()
	cfg := appConfig()
	s, err := server.New(server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	if err := s.Serve(); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}

// TestNewPortTaken fails to start in each way. The leak check finds goroutines
// that this leaves behind, TestDescriptors listeners.
func TestNewPortTaken(t *testing.T) {
	t.Parallel()
	taken := start(t)
	port := taken.Addr().(*net.TCPAddr).Port
	tests := map[string]struct {
		change func(*config.Config)
		key    string
	}{
		"clients": {func(c *config.Config) { c.Port = port }, "port"},
		"admin":   {func(c *config.Config) { c.Admin.Listen = taken.Addr().String() }, "admin.listen"},
		"TLS":     {func(c *config.Config) { c.TLS = config.TLS{Cert: "no.pem", Key: "no.pem"} }, "tls.cert"},
		"API":     {func(c *config.Config) { c.Auth.Endpoint = "http://user:pass@localhost/" }, "auth.endpoint"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := appConfig()
			test.change(&cfg)
			s, err := server.New(server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
			if err == nil {
				s.Close()
				t.Fatal("New succeeded")
			}
			if !strings.Contains(err.Error(), test.key) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q does not name %s", err, test.key)
			}
		})
	}
	if got := taken.do(t, http.MethodGet, "/up", nil, nil); got.status != http.StatusOK {
		t.Errorf("the one that has the port: %d %s", got.status, got.body)
	}
}
