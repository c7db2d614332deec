package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/internal/server"
)

// soon is short for tests, and still enough for a request that is sent at once.
const soon = 200 * time.Millisecond

// wantEnd waits until the daemon has ended the connection, whatever it says.
func (c *client) wantEnd() {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c.br); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection was not ended")
	}
}

// TestHandshakeTimeout: a request whose headers don't come is not waited for.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.HandshakeTimeout = 2 * time.Second })
	lively := d.connect(t)
	var slow []*client
	for _, sent := range []string{"", "GET /up HTTP/1.1\r\n", d.handshake(appTarget)[:60]} {
		c := d.dial(t)
		c.write([]byte(sent))
		slow = append(slow, c)
	}
	for _, c := range slow {
		c.wantEnd()
	}
	d.waitMetric(t, servedNow, 1)
	lively.fence() // the limit ends with the handshake
}

func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	d := startWith(t, func(o *server.Options) { o.BodyTimeout = soon })
	c := d.dial(t)
	query := auth.SignRequest(http.MethodPost, eventsPath, nil, make([]byte, 100), appKey, appSecret, time.Now())
	c.write([]byte("POST " + eventsPath + "?" + query + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"))
	if res := c.response(); res.StatusCode != http.StatusBadRequest || !res.Close {
		t.Errorf("half a body: %s, closes %v", res.Status, res.Close)
	}
	c.wantEnd()
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	d := startWith(t, func(o *server.Options) { o.IdleTimeout = soon })
	c := d.dial(t)
	c.write([]byte("HEAD /up HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if res := c.responseTo(http.MethodHead); res.StatusCode != http.StatusOK || res.Close {
		t.Errorf("%s, closes %v", res.Status, res.Close)
	}
	c.wantEnd()
}

// TestHandshakeAtTheEnd: who comes while the server ends is told to go elsewhere.
func TestHandshakeAtTheEnd(t *testing.T) {
	t.Parallel()
	d := start(t)
	if err := d.stop(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	rec, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, appTarget, nil)
	req.Header.Set("Upgrade", "websocket")
	d.Handler().ServeHTTP(rec, req)
	wantErrorLine(t, reply{rec.Code, rec.Header(), rec.Body.String()}, http.StatusServiceUnavailable)
}

// TestEventRate: what the HTTP API publishes is counted once for each channel,
// and a request is taken or refused as a whole.
func TestEventRate(t *testing.T) {
	t.Parallel()
	// At once it is 100, and so few a second that they don't matter here.
	d := start(t, func(c *config.Config) {
		c.App.MaxEvents = 1
		other := c.App
		other.ID, other.Key = "other", "other-key"
		c.Apps = []config.App{other}
	})
	listener := d.connect(t)
	listener.subscribe("jobs")
	channels := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint("c", i))
		}
		return names
	}
	event := map[string]any{"name": "e", "data": "1", "channel": "jobs"}
	ten := map[string]any{"batch": slices.Repeat([]any{event}, 10)}
	for _, test := range []struct {
		path   string
		body   map[string]any
		status int
	}{
		{eventsPath, map[string]any{"name": "e", "data": "1", "channels": channels(90)}, 200},
		{eventsPath, map[string]any{"name": "e", "data": "1", "channels": channels(50)}, 429},
		{eventsPath, map[string]any{"name": "e", "data": 1, "channels": channels(15)}, 400}, // costs nothing
		{appPath + "/batch_events", ten, 200},
		{appPath + "/batch_events", ten, 429},
		{eventsPath, map[string]any{"name": "e", "data": "1", "channels": append(channels(49), "jobs")}, 429},
	} {
		got := d.post(t, test.path, mustJSON(t, test.body))
		if got.status != test.status {
			t.Fatalf("%v: %d %s, want %d", test.body, got.status, got.body, test.status)
		}
		if test.status != http.StatusTooManyRequests {
			continue
		}
		wantErrorLine(t, got, test.status)
		var seconds int
		if _, err := fmt.Sscan(got.header.Get("Retry-After"), &seconds); err != nil || seconds < 1 || seconds > 50 {
			t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
		}
	}
	for range 10 {
		listener.wantEvent("jobs", "e", "1")
	}
	listener.fence()
	if got := d.metric(t, `broadcastd_events_refused_total{app="app-id"}`); got != 110 {
		t.Errorf("%v events counted as refused, want 110", got)
	}
	if got := d.metric(t, `broadcastd_http_api_refused_total{reason="rate_limit"}`); got != 3 {
		t.Errorf("%v requests counted as refused, want 3", got)
	}
	body := mustJSON(t, map[string]any{"name": "e", "data": "1", "channels": channels(100)})
	query := auth.SignRequest(http.MethodPost, "/apps/other/events", nil, body, "other-key", appSecret, time.Now())
	if got := d.do(t, http.MethodPost, "/apps/other/events?"+query, body, nil); got.status != http.StatusOK {
		t.Errorf("another app: %d %s", got.status, got.body)
	}
}
