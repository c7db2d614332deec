package webhook

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey    = "app-key"
	testSecret = "app-s3cr3t"
)

// network is an http.RoundTripper without a network, so that tests can run in
// synctest's time. It keeps every request.
type network struct {
	// answer gives a request's status, or 0 for a connection that breaks.
	// Without it all is taken.
	answer func(*http.Request) int

	mu    sync.Mutex
	posts []post // guarded by mu
}

type post struct {
	at     time.Time
	host   string
	header http.Header
	body   string
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.posts = append(n.posts, post{time.Now(), req.URL.Host, req.Header, string(body)})
	n.mu.Unlock()
	status := http.StatusOK
	if n.answer != nil {
		status = n.answer(req)
	}
	switch {
	case req.Context().Err() != nil:
		return nil, req.Context().Err()
	case status == 0:
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("thanks")), Request: req}, nil
}

func (n *network) all() []post {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.posts)
}

// events lists what a host was sent, as "name channel" and the rest, if any.
func (n *network) events(t *testing.T, host string) []string {
	t.Helper()
	var all []string
	for _, p := range n.all() {
		if p.host == host {
			all = append(all, eventsOf(t, p.body)...)
		}
	}
	return all
}

// eventsOf lists the events of a body, whose other member is checked.
func eventsOf(t *testing.T, body string) []string {
	t.Helper()
	var content struct {
		TimeMS int64                        `json:"time_ms"`
		Events []map[string]json.RawMessage `json:"events"`
	}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&content); err != nil || dec.More() {
		t.Fatalf("body %s: %v", body, err)
	}
	if content.TimeMS < 946_000_000_000 {
		t.Errorf("time_ms is %d", content.TimeMS)
	}
	var all []string
	for _, e := range content.Events {
		var words []string
		for _, member := range []string{"name", "channel", "user_id", "event", "data", "socket_id", "subscription_count", "id"} {
			if value, ok := e[member]; ok {
				words = append(words, strings.Trim(string(value), `"`))
				delete(e, member)
			}
		}
		if len(e) > 0 {
			t.Errorf("an event has other members: %v", e)
		}
		all = append(all, strings.Join(words, " "))
	}
	return all
}

// options are for one hook at http://hook.example on a network.
func options(n *network) (Options, *logs, *prometheus.Registry) {
	out, reg := &logs{}, prometheus.NewRegistry()
	o := Options{
		App: "1", Key: testKey, Secret: testSecret,
		Hooks:   []Hook{{URL: "http://hook.example"}},
		Log:     slog.New(slog.NewTextHandler(out, nil)),
		Metrics: NewMetrics(reg),
	}
	if n != nil {
		o.Transport = n
	}
	return o, out, reg
}

func mustNew(t *testing.T, o Options) *Sender {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustShutdown(t *testing.T, s *Sender) {
	t.Helper()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// wantMetrics compares time series, such as name{app=1,hook=0,result=ok}.
func wantMetrics(t *testing.T, reg *prometheus.Registry, want map[string]float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			series := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			got[series] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for series, value := range want {
		if v, ok := got[series]; !ok || v != value {
			t.Errorf("%s is %v (there: %t), want %v", series, v, ok, value)
		}
	}
}

// logs gathers what a sender logs.
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

func (l *logs) count(message string) int { return strings.Count(l.String(), "msg=\""+message) }
