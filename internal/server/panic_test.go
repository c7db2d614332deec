package server_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/protocol"
)

const brokenTarget = "/app/broken-key?protocol=7&token=" + token

// startBroken has one app that is broken from within. The witness of the other one
// must notice nothing.
func startBroken(t *testing.T, change ...func(*config.Config)) (d *daemon, witness *client) {
	t.Helper()
	d = start(t, append(change, func(c *config.Config) {
		other := c.App
		other.ID, other.Key = "broken", "broken-key"
		c.Apps = append(c.Apps, other)
	})...)
	d.Break("broken")
	d.panics = true
	witness = d.connect(t)
	witness.subscribe("jobs")
	return d, witness
}

// wantPanic waits until n panics of a place are counted, of which the log has one,
// with its stack, and checks that the witness hears what is published.
func (d *daemon) wantPanic(t *testing.T, witness *client, place string, n float64) {
	t.Helper()
	d.waitMetric(t, `broadcastd_panics_total{place="`+place+`"}`, n)
	if lines := strings.Count(d.log.String(), "place="+place); lines != 1 {
		t.Errorf("%d lines of the log are about it, want 1", lines)
	}
	if !strings.Contains(d.log.String(), "goroutine ") {
		t.Error("the log has no stack")
	}
	d.publish(t, "jobs", "e", "{}")
	witness.wantEvent("jobs", "e", "{}")
}

// TestPanicEndsOneConnection: the client whose message meets the bug is told, and
// everybody else goes on.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	d, witness := startBroken(t)
	for range 2 {
		c := d.open(t, "/app/broken-key?protocol=7")
		c.wantEstablished()
		c.send(`{"event":"pusher:subscribe","data":{"channel":"jobs"}}`)
		c.wantClose(1011)
	}
	d.waitMetric(t, `broadcastd_disconnections_total{reason="internal_error"}`, 2)
	d.wantPanic(t, witness, "message", 2)
}

// TestPanicAfterTheAPIsYes is in a goroutine of its own.
func TestPanicAfterTheAPIsYes(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d, witness := startBroken(t, a.configure)
	c := d.open(t, brokenTarget)
	c.wantEstablished()
	c.subscribeUnsigned(private)
	c.wantClose(1011)
	d.wantPanic(t, witness, "authorise", 1)
}

// brokenLog panics when it is told of one thing.
type brokenLog struct {
	slog.Handler
	at string
}

func (l brokenLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, l.at) {
		panic("a bug")
	}
	return l.Handler.Handle(ctx, r)
}

// TestPanicAskingAgain: the API's no ends a subscription, in a goroutine of its own,
// and there meets the bug.
func TestPanicAskingAgain(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := startWith(t, func(o *server.Options) {
		o.Log = slog.New(brokenLog{o.Log.Handler(), "a subscription has ended"})
	}, a.configure, again)
	d.panics = true
	witness := d.connect(t)
	witness.subscribe("jobs")
	c := granted["by the handshake"](t, d, private)
	c.want(succeeded)
	a.says.Store(&map[string]verdict{})
	c.wantRefused(private, "AuthError", 403)
	c.wantClose(1011)
	d.wantPanic(t, witness, "authorise", 1)
}

// TestPanicInARequest is answered with 500.
func TestPanicInARequest(t *testing.T) {
	t.Parallel()
	d, witness := startBroken(t)
	const path, body = "/apps/broken/events", `{"name":"e","channel":"cache-jobs","data":"1"}`
	query := auth.SignRequest(http.MethodPost, path, nil, []byte(body), "broken-key", appSecret, time.Now())
	for range 2 {
		wantErrorLine(t, d.do(t, http.MethodPost, path+"?"+query, []byte(body), nil), http.StatusInternalServerError)
	}
	d.waitMetric(t, `broadcastd_http_requests_total{code="500",route="events"}`, 2)
	d.wantPanic(t, witness, "request", 2)
}

// TestPanicByAnEvent costs that event.
func TestPanicByAnEvent(t *testing.T) {
	t.Parallel()
	d, witness := startBroken(t)
	e := protocol.Event{Channel: "cache-jobs", Name: "e", Data: []byte("1")}
	if err := d.Publish(server.SourceRedis, "broken", e); err == nil {
		t.Error("it was published")
	}
	d.wantPanic(t, witness, "event", 1)
}

// TestPanicInAHandshake can't be answered: the connection is cut. The end of the
// server doesn't wait for what never began.
func TestPanicInAHandshake(t *testing.T) {
	t.Parallel()
	d, witness := startBroken(t)
	d.BreakHandshakes("broken")
	for range 2 {
		c := d.dial(t)
		c.write([]byte(d.handshake(brokenTarget)))
		if text, err := io.ReadAll(c.br); len(text) > 0 {
			t.Errorf("answered with %q, then %v", text, err)
		}
	}
	d.wantPanic(t, witness, "request", 2)
	d.waitMetric(t, `broadcastd_connections{app="broken"}`, 0)
	d.waitMetric(t, `broadcastd_open_connections{state="served"}`, 2) // the witness, and who published
	if err := d.stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// unhijackable is a connection that can't be taken over.
type unhijackable struct{ http.ResponseWriter }

func (unhijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { panic("a bug") }

// TestPanicWhereNothingIs: the end of the server doesn't wait for that either.
func TestPanicWhereNothingIs(t *testing.T) {
	t.Parallel()
	d := start(t)
	d.panics = true
	r := httptest.NewRequest(http.MethodGet, "/nowhere", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	func() {
		defer func() { _ = recover() }() // as net/http does, which cuts the connection
		d.Handler().ServeHTTP(unhijackable{httptest.NewRecorder()}, r)
	}()
	if n := d.metric(t, `broadcastd_panics_total{place="request"}`); n != 1 {
		t.Errorf("%v panics, want 1", n)
	}
	if err := d.stop(t.Context()); err != nil {
		t.Error(err)
	}
}
