package auth

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	token   = "Bearer token-client-7"
	channel = "private-job.42"
	// patience is how long a test waits for what must happen.
	patience = 20 * time.Second
)

var app = Credentials{Key: appKey, Secret: appSecret}

// asker is an API under test with all that it leaves behind.
type asker struct {
	*API
	reg *prometheus.Registry
	log *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newAsker asks the endpoint; change, if not nil, adjusts the configuration.
func newAsker(t *testing.T, endpoint string, change func(*APIConfig)) *asker {
	t.Helper()
	cfg := APIConfig{
		Endpoint:      endpoint,
		Headers:       []string{"Authorization", "cookie", "X-CSRF-TOKEN"},
		Timeout:       patience,
		MaxConcurrent: 4,
		MaxWait:       patience,
	}
	if change != nil {
		change(&cfg)
	}
	a := &asker{reg: prometheus.NewRegistry(), log: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	api, err := NewAPI(cfg, a.reg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	a.API = api
	return a
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// answer writes a whole reply; that the client may have gone is no failure.
func answer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func replies(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, body) }
}

func (a *asker) authorize(t *testing.T, channel string) (Grant, error) {
	t.Helper()
	return a.Authorize(t.Context(), app, Request{
		SocketID: socketID(t, "123456.789012"),
		Channel:  channel,
		Header:   http.Header{"Authorization": {token}},
	})
}

// value reads a counter or gauge about channels; result is empty for one
// without labels.
func (a *asker) value(t *testing.T, name, result string) float64 {
	t.Helper()
	return a.valueOf(t, name, askChannel, result)
}

func (a *asker) valueOf(t *testing.T, name string, k *kind, result string) float64 {
	t.Helper()
	families, err := a.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			// Labels come in the order of their names: kind, result.
			if labels := m.GetLabel(); len(labels) > 0 && (labels[0].GetValue() != k.name || labels[1].GetValue() != result) {
				continue
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Fatalf("no metric %s with result %q", name, result)
	return 0
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}
