package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

// other is a second app.
func other(c *config.Config) {
	app := c.App
	app.ID, app.Key = "other-id", "other-key"
	c.Apps = []config.App{app}
}

const otherTarget = "/app/other-key?protocol=7"

// reload has the daemon reload appConfig and what change makes of it, as an operator
// does, and returns its answer.
func (d *daemon) reload(t testing.TB, change ...func(*config.Config)) reply {
	t.Helper()
	cfg := appConfig()
	for _, f := range change {
		f(&cfg)
	}
	d.loads = func() (config.Config, error) { return cfg, cfg.Validate() }
	return d.ask(t, http.MethodPost, "http://"+d.AdminAddr().String()+"/reload", nil, nil)
}

// wantReload demands an answer, in which the lists are joined.
func wantReload(t testing.TB, got reply, applied, restart string) {
	t.Helper()
	var c config.Changes
	if err := json.Unmarshal([]byte(got.body), &c); got.status != http.StatusOK || err != nil {
		t.Fatalf("reload: %d %s", got.status, got.body)
	}
	if a, r := strings.Join(c.Applied, " "), strings.Join(c.Restart, " "); a != applied || r != restart {
		t.Errorf("applied %q, needs a restart %q; want %q, %q", a, r, applied, restart)
	}
}

// TestReloadSettings: an app's settings change under its clients, who stay.
func TestReloadSettings(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.connect(t)
	c.subscribe("jobs", "private-a")
	wantReload(t, d.reload(t), "", "")
	wantReload(t, d.reload(t, func(c *config.Config) {
		c.App.Secret, c.App.AllowedOrigins, c.App.MaxSubscriptions = "another-secret", []string{"example.com"}, 2
		c.App.MaxEventSize, c.App.AcceptClientEventsFrom, c.MaxRequestSize = 10, "none", 500
		c.Port, c.Redis.URL, c.Log.Level = 1, "redis://127.0.0.1:1", "warn"
		c.MaxConnections, c.App.MaxEvents = 50, 1000
	}), "max_connections max_request_size log.level apps[app-id].secret apps[app-id].allowed_origins apps[app-id].max_event_size "+
		"apps[app-id].max_subscriptions apps[app-id].accept_client_events_from apps[app-id].max_events_per_second", "port redis.url")
	if d.level.Level() != slog.LevelWarn {
		t.Errorf("the log's level is %v", d.level.Level())
	}

	body := []byte(`{"name":"e","channel":"jobs","data":"1"}`)
	if got := d.post(t, "/apps/"+appID+"/events", body); got.status != http.StatusUnauthorized {
		t.Errorf("a request with the former secret: %d %s", got.status, got.body)
	}
	signed := func(body []byte) reply {
		path := "/apps/" + appID + "/events"
		return d.do(t, http.MethodPost, path+"?"+auth.SignRequest(http.MethodPost, path, nil, body, appKey, "another-secret", time.Now()), body, nil)
	}
	if got := signed(body); got.status != http.StatusOK {
		t.Errorf("a request with the new secret: %d %s", got.status, got.body)
	}
	c.wantEvent("jobs", "e", "1")
	if got := signed([]byte(`{"name":"e","channel":"jobs","data":"0123456789x"}`)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a larger event: %d %s", got.status, got.body)
	}
	if got := signed([]byte(strings.Repeat(" ", 501))); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a larger request: %d %s", got.status, got.body)
	}
	c.send(`{"event":"pusher:subscribe","data":{"channel":"third"}}`)
	if m := c.next(); m.Event != "pusher:subscription_error" {
		t.Errorf("a third subscription of two: %+v", m)
	}
	c.send(`{"event":"client-e","channel":"private-a","data":"1"}`)
	if m := c.next(); m.Event != "pusher:error" {
		t.Errorf("a client event: %+v", m)
	}
	if m := d.open(t, appTarget, "Origin: https://elsewhere.org").next(); m.Event != "pusher:error" {
		t.Errorf("a page of another origin: %+v", m)
	}
	d.connect(t, "Origin: https://example.com")
}

// TestReloadApps: one comes, goes, and comes again; nobody else notices.
func TestReloadApps(t *testing.T) {
	t.Parallel()
	d := start(t)
	stays := d.connect(t)
	stays.subscribe("jobs")
	if m := d.open(t, otherTarget).next(); m.Event != "pusher:error" {
		t.Errorf("before it was there: %+v", m)
	}
	wantReload(t, d.reload(t, other), "apps[other-id] (added)", "")
	var theirs *client
	for range 2 {
		theirs = d.open(t, otherTarget)
		theirs.wantEstablished()
		theirs.subscribe("jobs")
		if err := d.Publish("redis", "other-id", protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"1"`)}); err != nil {
			t.Fatal(err)
		}
		theirs.wantEvent("jobs", "e", "1")
		wantReload(t, d.reload(t), "apps[other-id] (removed)", "")
		theirs.wantClose(4001)
		_ = theirs.nc.Close()
		if err := d.Publish("redis", "other-id", protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"1"`)}); err == nil {
			t.Error("what is published to an app that is gone was taken")
		}
		wantReload(t, d.reload(t, other), "apps[other-id] (added)", "")
	}
	d.waitMetric(t, `broadcastd_disconnections_total{reason="app_removed"}`, 2)
	d.publish(t, "jobs", "e", "2")
	stays.wantEvent("jobs", "e", "2")
}

// TestReloadKey: new clients need the new key, those that are here stay.
func TestReloadKey(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.connect(t)
	c.subscribe("jobs")
	wantReload(t, d.reload(t, func(c *config.Config) { c.App.Key = "new-key" }), "apps[app-id].key", "")
	if m := d.open(t, appTarget).next(); m.Event != "pusher:error" {
		t.Errorf("with the former key: %+v", m)
	}
	d.open(t, "/app/new-key?protocol=7").wantEstablished()
	if err := d.Publish("redis", appID, protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"1"`)}); err != nil {
		t.Fatal(err)
	}
	c.wantEvent("jobs", "e", "1")
}

// TestReloadPings: new clients are pinged as often as they now should be, however many
// others are to be looked at.
func TestReloadPings(t *testing.T) {
	t.Parallel()
	d := start(t)
	for range 64 {
		d.connect(t)
	}
	wantReload(t, d.reload(t, func(c *config.Config) { c.App.PingInterval = soon }), "apps[app-id].ping_interval", "")
	c := d.connect(t)
	const pings = 10
	for began, n := time.Now(), 0; n < pings; n++ {
		c.want(`{"event":"pusher:ping","data":{}}`)
		c.send(`{"event":"pusher:pong","data":{}}`)
		if time.Since(began) > patience {
			t.Fatalf("%d pings so far", n)
		}
	}
}

// TestReloadInvalid: what can't be used changes nothing and says why.
func TestReloadInvalid(t *testing.T) {
	t.Parallel()
	d := start(t)
	d.loads = func() (config.Config, error) { return config.Config{}, errors.New("config.yaml:3: port: no") }
	url := "http://" + d.AdminAddr().String() + "/reload"
	if got := d.ask(t, http.MethodPost, url, nil, nil); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "config.yaml:3: port: no") {
		t.Errorf("unreadable: %d %s", got.status, got.body)
	}
	got := d.reload(t, other, func(c *config.Config) { c.App.MaxEventSize, c.App.AllowedOrigins = 5, nil })
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "app.allowed_origins") {
		t.Errorf("invalid: %d %s", got.status, got.body)
	}
	if m := d.open(t, otherTarget).next(); m.Event != "pusher:error" {
		t.Errorf("an app of a configuration that is not valid: %+v", m)
	}
	d.publish(t, "jobs", "e", "longer than five")
	if n := d.metric(t, `broadcastd_reloads_total{result="failed"}`); n != 2 {
		t.Errorf("%v reloads failed, want 2", n)
	}
	if !strings.Contains(d.log.String(), "nothing has changed") {
		t.Errorf("the log says\n%s", d.log)
	}
	before := d.metric(t, "broadcastd_config_loaded_timestamp_seconds")
	wantReload(t, d.reload(t), "", "")
	if after := d.metric(t, "broadcastd_config_loaded_timestamp_seconds"); after <= before {
		t.Error("the time of the last reload didn't change")
	}
	if n := d.metric(t, `broadcastd_reloads_total{result="ok"}`); n != 1 {
		t.Errorf("%v reloads succeeded, want 1", n)
	}
}

// TestReloadFromAPage: another site's page can't have an operator's browser ask.
func TestReloadFromAPage(t *testing.T) {
	t.Parallel()
	d := start(t)
	for name, header := range map[string]http.Header{
		"fetch":      {"Sec-Fetch-Site": {"cross-site"}},
		"older ones": {"Origin": {"https://example.com"}},
	} {
		got := d.ask(t, http.MethodPost, "http://"+d.AdminAddr().String()+"/reload", nil, header)
		if got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestReloadUnderLoad: apps come and go while clients connect to them, and nobody
// stays in one that is gone.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	d := start(t)
	var clients sync.WaitGroup
	ended := make(chan struct{})
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				ws, _, err := websocket.Dial(t.Context(), "ws://"+d.Addr().String()+otherTarget, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for err == nil { // until the app is gone, or was at once
					_, _, err = ws.Read(t.Context())
				}
				if websocket.CloseStatus(err) != 4001 {
					t.Error(err)
				}
				_ = ws.CloseNow()
			}
		})
	}
	for range 100 {
		d.reload(t, other)
		d.reload(t)
	}
	close(ended)
	gone := make(chan struct{})
	go func() { clients.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("somebody is in an app that is gone")
	}
	eventually(t, func() bool { return d.Connections("other-id") == 0 },
		func() string { return fmt.Sprint(d.Connections("other-id"), " connections to an app that is gone") })
}

// TestReloadWebhooks: an app that had none gets one, signed with the key that it has
// by then, and loses it again.
func TestReloadWebhooks(t *testing.T) {
	t.Parallel()
	d := start(t)
	r := newHookReceiver(t)
	hooked := func(c *config.Config) {
		c.App.Key, c.App.Secret = hookKey, hookSecret
		c.App.Webhooks = []config.Webhook{{URL: r.URL, Headers: map[string]string{"X-Shop": "yes"}, Events: []string{"channel_occupied"}}}
	}
	wantReload(t, d.reload(t, hooked), "apps[app-id].key apps[app-id].secret apps[app-id].webhooks", "")
	c := d.open(t, "/app/"+hookKey+"?protocol=7")
	c.wantEstablished()
	c.subscribe("jobs")
	r.wait(t, `{"channel":"jobs","name":"channel_occupied"}`)
	wantReload(t, d.reload(t, hooked, func(c *config.Config) { c.App.Webhooks = nil }), "apps[app-id].webhooks", "")
	c.subscribe("more")
}
