package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/internal/config"
	"broadcastd/internal/server"
)

// The gauges of connections.
const (
	servedNow  = `broadcastd_open_connections{state="served"}`
	refusedNow = `broadcastd_open_connections{state="refused"}`
)

func refusals(reason string) string {
	return fmt.Sprintf("broadcastd_connections_refused_total{reason=%q}", reason)
}

// wantRefusal demands the handshake's refusal with 4100.
func (c *client) wantRefusal() {
	c.t.Helper()
	c.wantError(4100)
	c.wantClose(4100)
}

// wantCut waits until the daemon has ended the connection, without a word.
func (c *client) wantCut() {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if b, err := c.br.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the connection was not cut: %q, %v", b, err)
	}
}

// TestMaxConnections: a WebSocket too many is told so, the API goes on.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.MaxConnections = 2 })
	if got := d.metric(t, "broadcastd_max_connections"); got != 2 {
		t.Errorf("the metric says that %v may be served", got)
	}
	first, second := d.connect(t), d.connect(t)
	d.open(t, appTarget).wantRefusal()
	d.open(t, "/app/other?protocol=7").wantError(4001) // trying again would help less
	second.subscribe("jobs")
	d.publish(t, "jobs", "e", "1") // by a connection too many
	d.publish(t, "jobs", "e", "2")
	second.wantEvent("jobs", "e", "1")
	second.wantEvent("jobs", "e", "2")
	if got := d.metric(t, refusals("over_total")); got != 1 {
		t.Errorf("%v refusals counted, want 1", got)
	}
	d.waitMetric(t, servedNow, 2)
	_ = first.nc.Close()
	d.waitMetric(t, servedNow, 1)
	d.connect(t).fence()
}

// TestSilentConnectionsCount: who asks nothing takes a place, and is cut when
// there are too many of those over the limit too.
func TestSilentConnectionsCount(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		c.MaxConnections = 2
		c.HandshakeTimeout = time.Hour
	})
	silent := d.dial(t)
	d.dial(t)
	d.waitMetric(t, servedNow, 2)
	refused := d.open(t, appTarget)
	refused.wantRefusal()
	_ = refused.nc.Close()
	d.waitMetric(t, refusedNow, 0)
	late := d.dial(t)
	for range server.MaxSpare - 1 {
		d.dial(t)
	}
	d.waitMetric(t, refusedNow, server.MaxSpare)
	if nc, err := net.Dial("tcp", d.Addr().String()); err == nil { // or it was cut that soon
		(&client{t: t, nc: nc.(*net.TCPConn), br: bufio.NewReader(nc)}).wantCut()
		_ = nc.Close()
	}
	d.waitMetric(t, refusals("no_place"), 1)

	_ = silent.nc.Close()
	d.waitMetric(t, servedNow, 1)
	late.write([]byte(d.handshake(appTarget))) // by now there is room
	late.wantUpgrade()
	late.wantEstablished()
	d.waitMetric(t, servedNow, 2)
	d.waitMetric(t, refusedNow, server.MaxSpare-1)
}

// TestForwardedFor counts by the address that a trusted proxy tells.
func TestForwardedFor(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		c.MaxConnectionsPerAddress = 1
		c.TrustedProxies = []string{"127.0.0.1"}
	})
	for range 3 {
		d.connect(t) // the proxy's own
	}
	from := func(said string) *client { return d.open(t, appTarget, "X-Forwarded-For: "+said) }
	first := from("203.0.113.1")
	first.wantEstablished()
	from("203.0.113.2").wantEstablished()
	from("203.0.113.1").wantRefusal()
	from("203.0.113.9, 203.0.113.1").wantRefusal()
	from("2001:db8::1").wantEstablished()
	from("2001:db8::ffff:1").wantRefusal() // the same /64
	from("2001:db8:0:1::1").wantEstablished()
	if got := d.metric(t, refusals("over_address")); got != 3 {
		t.Errorf("%v refusals counted, want 3", got)
	}
	_ = first.nc.Close()
	d.waitMetric(t, `broadcastd_connections{app="app-id"}`, 6)
	from("203.0.113.1").wantEstablished()

	// A handshake that failed takes nothing.
	for range 2 {
		broken := d.dial(t)
		broken.write([]byte(strings.Replace(d.handshake(appTarget, "X-Forwarded-For: 203.0.113.3"), "Sec-WebSocket-Key", "X-Key", 1)))
		if res := broken.response(); res.StatusCode != http.StatusBadRequest {
			t.Fatalf("a handshake without a key: %s", res.Status)
		} else if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
	}
	from("203.0.113.3").wantEstablished()
}

// TestLimitsChange: those who are there stay.
func TestLimitsChange(t *testing.T) {
	t.Parallel()
	d := start(t)
	first, second := d.connect(t), d.connect(t)
	limit := func(most int) {
		cfg := appConfig()
		cfg.MaxConnections = most
		if err := d.SetLimits(&cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	first.fence()
	d.open(t, appTarget).wantRefusal()
	_ = first.nc.Close()
	d.waitMetric(t, servedNow, 1)
	d.open(t, appTarget).wantRefusal()
	limit(2)
	d.connect(t).fence()
	second.fence()
}

func TestMostConnections(t *testing.T) {
	t.Parallel()
	cfg := appConfig()
	cfg.MaxConnections = math.MaxInt
	if _, err := server.New(server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
		t.Error("more connections than descriptors did not stop the start")
	}
	for _, test := range []struct{ configured, descriptors, want int }{
		{0, 1000, 500},
		{0, 65536, 65536 - 576},
		{0, math.MaxInt, math.MaxInt},
		{100, 65536, 100},
		{65536 - 576, 65536, 65536 - 576},
		{65536 - 575, 65536, -1},
		{100, math.MaxInt, 100},
	} {
		cfg := appConfig()
		cfg.MaxConnections = test.configured
		got, err := server.MostConnections(&cfg, test.descriptors)
		if err != nil {
			got = -1
			const want = "max_connections: 64961 is more than the limit of open files allows, 64960 of 65536; raise that (ulimit -n, LimitNOFILE in systemd), or lower max_connections"
			if err.Error() != want {
				t.Errorf("the error is %q, want %q", err, want)
			}
		}
		if got != test.want {
			t.Errorf("%d configured, %d descriptors: %d, want %d", test.configured, test.descriptors, got, test.want)
		}
	}
}
