package faults_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"broadcastd/test/daemon"
)

const (
	authTimeout = time.Second
	token       = "token-of-a-client"
)

// startAPI is an API that says yes to everybody until it is broken, and the daemon
// that asks it.
func startAPI(t *testing.T) (api *brokenAPI, d *daemon.Daemon) {
	t.Helper()
	api = &brokenAPI{}
	api.Server = httptest.NewServer(api)
	api.Config.SetKeepAlivesEnabled(false) // what is kept for the next question isn't left behind
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	d = daemon.Start(t, daemon.Options{Config: fmt.Sprintf(
		"auth: {endpoint: %q, timeout: %s}", api.URL+"/broadcasting/auth", authTimeout)})
	return api, d
}

type brokenAPI struct {
	*httptest.Server
	mu    sync.Mutex
	fault http.HandlerFunc // guarded by mu; nil: none
}

func (a *brokenAPI) become(fault http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

func (a *brokenAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else the end of the caller isn't noticed
	a.mu.Lock()
	fault := a.fault
	a.mu.Unlock()
	if fault == nil {
		fault = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "true") }
	}
	fault(w, r)
}

// hang lasts until the caller gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drip answers a byte a second.
func drip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	for {
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestAPIFails has many clients ask an API that is broken in each way. They are
// refused with a status that tells, nobody else notices, and the next question is
// answered as soon as the API is well.
func TestAPIFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  http.HandlerFunc
		status int
		reason string // of the metric and of the warning
	}{
		"hangs":     {hang, 504, "timeout"},
		"drips":     {drip, 504, "timeout"},
		"is slow":   {func(w http.ResponseWriter, r *http.Request) { time.Sleep(2 * authTimeout); says(200, "true")(w, r) }, 504, "timeout"},
		"500":       {says(500, "Server Error"), 500, "server_error"},
		"503":       {says(503, "Service Unavailable"), 503, "server_error"},
		"garbage":   {says(200, "\x00\xff garbage"), 502, "bad_reply"},
		"a page":    {says(200, "<html></html>"), 502, "bad_reply"},
		"10 MB":     {says(200, strings.Repeat("a", 10<<20)), 502, "too_large"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, 401, "redirect"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			says(200, "tr")(w, nil)
		}, 502, "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, d := startAPI(t)
			f := newAsking(t, d)
			api.become(test.fault)
			f.refused(test.status, test.reason)
			api.become(nil)
			f.recovers()
		})
	}
}

// TestAPIKilled lets nobody listen where the API was.
func TestAPIKilled(t *testing.T) {
	t.Parallel()
	api, d := startAPI(t)
	f := newAsking(t, d)
	api.CloseClientConnections()
	api.Listener.Close()
	f.refused(502, "unreachable")

	reborn := httptest.NewUnstartedServer(api)
	reborn.Listener.Close()
	reborn.Listener = listenAt(t, api.Listener.Addr().String())
	reborn.Config.SetKeepAlivesEnabled(false)
	reborn.Start()
	t.Cleanup(func() { reborn.CloseClientConnections(); reborn.Close() })
	f.recovers()
}

// asking are clients that ask the API, and one that doesn't.
type asking struct {
	t       *testing.T
	d       *daemon.Daemon
	clients []*daemon.Client
	witness *daemon.Client
	before  daemon.Leftover
}

func newAsking(t *testing.T, d *daemon.Daemon) *asking {
	t.Helper()
	f := &asking{t: t, d: d, witness: d.Connect()}
	f.witness.Subscribe("private-jobs")
	for range 20 {
		f.clients = append(f.clients, d.Connect("token="+token))
	}
	f.clients[0].Ask("private-0")
	f.clients[0].WantJoined("private-0")
	f.before = d.Holds()
	return f
}

// refused has all ask, who are refused, while the witness is served.
func (f *asking) refused(status int, reason string) {
	f.t.Helper()
	for i, c := range f.clients {
		c.Ask(fmt.Sprint("private-no-", i))
	}
	if code, body, err := f.d.Post("private-jobs", "e", "1", time.Now()); code != 200 {
		f.t.Errorf("the HTTP API answers %d %s %v", code, body, err)
	}
	f.witness.Want("private-jobs", "e", "1")
	f.witness.Subscribe("private-more")
	for i, c := range f.clients {
		c.WantRefused(fmt.Sprint("private-no-", i), status)
	}
	if n := f.d.Metric(`broadcastd_auth_requests_total{kind="channel",result="` + reason + `"}`); n != float64(len(f.clients)) {
		f.t.Errorf("%v requests are counted as %s, want %d", n, reason, len(f.clients))
	}
	if n := f.d.Log.Lines("level=WARN", "authorisation refused", "reason="+reason); n != 1 {
		f.t.Errorf("%d warnings, want one", n)
	}
	f.d.WaitReady(200, `"ready"`) // clients are served, and signatures suffice
}

// recovers has each client's first question answered.
func (f *asking) recovers() {
	f.t.Helper()
	for i, c := range f.clients {
		c.Ask(fmt.Sprint("private-yes-", i))
		c.WantJoined(fmt.Sprint("private-yes-", i))
	}
	f.d.WantNoMore(f.before)
	if strings.Contains(f.d.Log.String(), token) {
		f.t.Error("a client's token is in the log")
	}
}
