package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The app that every daemon under test has.
const (
	appID     = "app-id"
	appKey    = "app-key"
	appSecret = "app-secret-0123456789"
)

// token is what clients under test are recognised by.
const token = "token-of-client-7"

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// daemon is a whole server under test.
type daemon struct {
	*server.Server
	path string
	// extensions is the answer to clients that offer compression.
	extensions string
	reg        *prometheus.Registry
	log        *logs
	http       *http.Client
	// served gives what Serve returned.
	served chan error
	panics bool // they are expected
	level  slog.LevelVar
	// loads is what a reload reads; nil: nothing.
	loads func() (config.Config, error)
	stop  func(context.Context) error
}

// appConfig is the default configuration with one app, on free ports.
func appConfig() config.Config {
	cfg := config.Default()
	cfg.Host, cfg.Port = "127.0.0.1", 0
	cfg.Admin.Listen = "127.0.0.1:0"
	cfg.App.ID, cfg.App.Key, cfg.App.Secret = appID, appKey, appSecret
	return cfg
}

// start runs a daemon with appConfig and what change makes of it. It is shut down with the test, after the
// test's clients.
func start(t testing.TB, change ...func(*config.Config)) *daemon {
	t.Helper()
	return startIn(t, nil, change...)
}

// startIn is start for a node of a cluster.
func startIn(t testing.TB, cluster func(channels.Node) channels.Cluster, change ...func(*config.Config)) *daemon {
	t.Helper()
	return startWith(t, func(o *server.Options) { o.Cluster = cluster }, change...)
}

// startWith is start with options that are not of the configuration.
func startWith(t testing.TB, options func(*server.Options), change ...func(*config.Config)) *daemon {
	t.Helper()
	cfg := appConfig()
	for _, f := range change {
		f(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	d := &daemon{path: cfg.Path, reg: prometheus.NewRegistry(), log: &logs{}, served: make(chan error, 1)}
	d.level.Set(slog.LevelDebug)
	log := slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: &d.level}))
	o := server.Options{
		Config: cfg, Log: log, LogLevel: &d.level, Registry: d.reg, Version: "test",
		Load: func() (config.Config, error) {
			if d.loads == nil {
				return config.Config{}, errors.New("the test has no other configuration")
			}
			return d.loads()
		},
	}
	options(&o)
	var err error
	d.Server, err = server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	go func() { d.served <- d.Serve() }()
	if cfg.App.Compression {
		d.extensions = withoutTakeover
	}

	transport := &http.Transport{}
	d.http = &http.Client{Transport: transport, Timeout: patience}
	var once sync.Once
	d.stop = func(ctx context.Context) (err error) {
		once.Do(func() {
			transport.CloseIdleConnections()
			err = d.Shutdown(ctx)
			if served := <-d.served; served != nil {
				t.Errorf("Serve after Shutdown: %v", served)
			}
			d.checkLog(t)
		})
		return err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.stop(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return d
}

// checkLog demands that nothing panicked, which net/http would hide, and that
// no secret was written down.
func (d *daemon) checkLog(t testing.TB) {
	t.Helper()
	for _, text := range []string{"panic", appSecret, token} {
		if text == "panic" && d.panics {
			continue
		}
		if strings.Contains(d.log.String(), text) {
			t.Errorf("the log has %q in it:\n%s", text, d.log)
		}
	}
}

// logs gathers what a daemon logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// metric is the value of one line of /metrics, such as
// `broadcastd_connections{app="app-id"}`; 0 if there is none.
func (d *daemon) metric(t testing.TB, line string) float64 {
	t.Helper()
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(d.reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	for text := range strings.Lines(rec.Body.String()) {
		if value, ok := strings.CutPrefix(text, line+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// waitMetric waits until a metric has a value.
func (d *daemon) waitMetric(t testing.TB, line string, want float64) {
	t.Helper()
	var got float64
	eventually(t, func() bool {
		got = d.metric(t, line)
		return got == want
	}, func() string { return line + " is " + strconv.FormatFloat(got, 'f', -1, 64) })
}

// eventually waits for a condition; state tells what was found instead.
func eventually(t testing.TB, ok func() bool, state func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", state())
		}
	}
}

// reply is an answer of the HTTP side.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request to the clients' listener.
func (d *daemon) do(t testing.TB, method, target string, body []byte, header http.Header) reply {
	t.Helper()
	return d.ask(t, method, "http://"+d.Addr().String()+d.path+target, body, header)
}

func (d *daemon) ask(t testing.TB, method, url string, body []byte, header http.Header) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	res, err := d.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

// post sends a signed request to the HTTP API.
func (d *daemon) post(t testing.TB, path string, body []byte) reply {
	t.Helper()
	query := auth.SignRequest(http.MethodPost, path, nil, body, appKey, appSecret, time.Now())
	return d.do(t, http.MethodPost, path+"?"+query, body, http.Header{"Content-Type": {"application/json"}})
}

// publish sends an event through the HTTP API. When it returns, the event is
// on its way to the subscribers, in front of all that follows.
func (d *daemon) publish(t testing.TB, channel, name, data string) {
	t.Helper()
	body := mustJSON(t, map[string]string{"name": name, "channel": channel, "data": data})
	if got := d.post(t, "/apps/"+appID+"/events", body); got.status != http.StatusOK || got.body != "{}" {
		t.Fatalf("publishing to %q: %d %s", channel, got.status, got.body)
	}
}

// wantErrorLine demands an error of the documented form: {"error": one line}.
func wantErrorLine(t testing.TB, got reply, status int) {
	t.Helper()
	var answer map[string]string
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || len(answer) != 1 || answer["error"] == "" ||
		strings.ContainsAny(got.body, "\r\n") || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("answer is not one line of JSON of the form {\"error\"}: %q", got.body)
	}
	if got.status != status {
		t.Errorf("status %d, want %d: %s", got.status, status, got.body)
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
