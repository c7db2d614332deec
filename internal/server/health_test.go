package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"broadcastd/internal/config"
	"broadcastd/internal/server"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, addr := range []string{d.Addr().String(), d.AdminAddr().String()} {
		for _, path := range []string{"/up", "/healthz"} {
			got := d.ask(t, http.MethodGet, "http://"+addr+path, nil, nil)
			if got.status != http.StatusOK || got.body != `{"health":"OK"}` || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s%s: %d %q", addr, path, got.status, got.body)
			}
		}
		for _, path := range []string{"/up", "/healthz", "/readyz"} {
			if got := d.ask(t, http.MethodHead, "http://"+addr+path, nil, nil); got.status != http.StatusOK || got.body != "" {
				t.Errorf("HEAD %s%s: %d %q", addr, path, got.status, got.body)
			}
		}
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	d := start(t)
	var optional, required, past atomic.Pointer[string]
	check := func(state *atomic.Pointer[string]) func() error {
		return func() error {
			if text := state.Load(); text != nil {
				return errors.New(*text)
			}
			return nil
		}
	}
	d.AddCheck(server.Check{Name: "optional", Err: check(&optional)})
	d.AddCheck(server.Check{Name: "required", Required: true, Err: check(&required)})
	d.AddCheck(server.Check{Name: "past", Notice: true, Err: check(&past)})

	away, down, lost := "away since noon", "down since noon", "lost at noon"
	tests := []struct {
		optional, required, past *string
		code                     int
		status                   string
		reasons, notices         map[string]string
	}{
		{nil, nil, nil, 200, "ready", nil, nil},
		{&away, nil, nil, 200, "degraded", map[string]string{"optional": away}, nil},
		{&away, &down, &lost, 503, "unavailable", map[string]string{"optional": away, "required": down}, map[string]string{"past": lost}},
		{nil, &down, nil, 503, "unavailable", map[string]string{"required": down}, nil},
		{nil, nil, &lost, 200, "ready", nil, map[string]string{"past": lost}},
		{nil, nil, nil, 200, "ready", nil, nil},
	}
	for _, test := range tests {
		optional.Store(test.optional)
		required.Store(test.required)
		past.Store(test.past)
		for _, addr := range []string{d.Addr().String(), d.AdminAddr().String()} {
			got := d.ask(t, http.MethodGet, "http://"+addr+"/readyz", nil, nil)
			var answer struct {
				Status  string            `json:"status"`
				Reasons map[string]string `json:"reasons"`
				Notices map[string]string `json:"notices"`
			}
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
				t.Fatalf("%q: %v", got.body, err)
			}
			if got.status != test.code || answer.Status != test.status ||
				!reflect.DeepEqual(answer.Reasons, test.reasons) || !reflect.DeepEqual(answer.Notices, test.notices) {
				t.Errorf("%d %s, want %d %s %v %v", got.status, got.body, test.code, test.status, test.reasons, test.notices)
			}
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	d := start(t)
	admin := "http://" + d.AdminAddr().String()
	got := d.ask(t, http.MethodGet, admin+"/metrics", nil, nil)
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("/metrics: %d %v", got.status, got.header)
	}
	// What is only seen by the operator isn't shown to clients, and the other
	// way round.
	if got := d.do(t, http.MethodGet, "/metrics", nil, nil); got.status != http.StatusNotFound {
		t.Errorf("/metrics where clients connect: %d", got.status)
	}
	if got := d.ask(t, http.MethodGet, admin+"/app/app-key?protocol=7", nil, nil); got.status != http.StatusNotFound {
		t.Errorf("/app/ on the admin listener: %d", got.status)
	}

	off := start(t, func(c *config.Config) { c.Admin.Listen = "" })
	if off.AdminAddr() != nil {
		t.Errorf("switched off, yet at %v", off.AdminAddr())
	}
	off.connect(t).fence()
}

// TestMetrics lists what dashboards and alerts are built on.
func TestMetrics(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure)
	c := d.connect(t, "Authorization: Bearer "+token)
	c.subscribe("jobs", "private-a", "presence-a")
	c.subscribeUnsigned(private)
	c.want(succeeded)
	c.subscribeUnsigned("private-b")
	c.wantRefused("private-b", "AuthError", 403)
	d.publish(t, "jobs", "e", "{}")
	c.wantEvent("jobs", "e", "{}")
	c.send(`{"event":"client-t","channel":"private-a","data":1}`)
	c.fence()
	d.post(t, eventsPath, []byte(`{}`))
	d.do(t, http.MethodPost, eventsPath, nil, nil)
	d.open(t, "/app/other?protocol=7").wantError(4001)
	left := d.connect(t)
	left.write(closeFrame(1000, ""))
	left.wantClose(1000)
	d.waitMetric(t, `broadcastd_disconnections_total{reason="client"}`, 1)

	for line, want := range map[string]float64{
		`broadcastd_build_info{version="test"}`:                             1,
		`broadcastd_connections{app="app-id"}`:                              1,
		`broadcastd_connections_total{app="app-id"}`:                        2,
		`broadcastd_connections_refused_total{reason="app_not_found"}`:      1,
		`broadcastd_channels{app="app-id",kind="public"}`:                   1,
		`broadcastd_channels{app="app-id",kind="private"}`:                  2,
		`broadcastd_subscriptions{app="app-id",kind="presence"}`:            1,
		`broadcastd_subscriptions{app="app-id",kind="private_encrypted"}`:   0,
		`broadcastd_subscriptions_refused_total{reason="forbidden"}`:        1,
		`broadcastd_events_total{app="app-id",source="http"}`:               1,
		`broadcastd_events_total{app="app-id",source="client"}`:             1,
		`broadcastd_http_api_refused_total{reason="bad_request"}`:           1,
		`broadcastd_http_api_refused_total{reason="malformed"}`:             1,
		`broadcastd_http_requests_total{code="200",route="events"}`:         1,
		`broadcastd_http_requests_total{code="401",route="events"}`:         1,
		`broadcastd_deliveries_total`:                                       1,
		`broadcastd_delivery_seconds_count`:                                 2,
		`broadcastd_auth_requests_total{kind="channel",result="ok"}`:        1,
		`broadcastd_auth_requests_total{kind="channel",result="forbidden"}`: 1,
		`broadcastd_auth_request_seconds_count{kind="channel",result="ok"}`: 1,
		`broadcastd_disconnections_total{reason="slow_consumer"}`:           0,
		`broadcastd_backlog`: 0,
	} {
		if got := d.metric(t, line); got != want {
			t.Errorf("%s is %v, want %v", line, got, want)
		}
	}
	for _, line := range []string{`broadcastd_sent_bytes_total`, `go_goroutines`, `process_open_fds`} {
		if got := d.metric(t, line); got <= 0 {
			t.Errorf("%s is %v", line, got)
		}
	}
}
