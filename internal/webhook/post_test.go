package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// received is a request as a receiver saw it.
type received struct {
	method, path string
	header       http.Header
	body         string
}

// receive starts a receiver whose answers are made by answer, after the
// request was noted. Its server ends with the test.
func receive(t *testing.T, answer http.HandlerFunc) (*httptest.Server, <-chan received) {
	t.Helper()
	requests := make(chan received, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- received{r.Method, r.RequestURI, r.Header, string(body)}
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, requests
}

func next(t *testing.T, requests <-chan received) received {
	t.Helper()
	select {
	case r := <-requests:
		return r
	case <-time.After(patience):
		t.Fatal("no request came")
		return received{}
	}
}

// isValid has the rules of Pusher's libraries: the key is the app's, the type
// is JSON's without parameters, and the signature is that of the raw body.
func isValid(r received) bool {
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write([]byte(r.body))
	return r.header.Get("Content-Type") == "application/json" && json.Valid([]byte(r.body)) &&
		r.header.Get("X-Pusher-Key") == testKey &&
		r.header.Get("X-Pusher-Signature") == hex.EncodeToString(mac.Sum(nil))
}

func TestRequest(t *testing.T) {
	srv, requests := receive(t, nil)
	o, out, _ := options(nil)
	o.Hooks = []Hook{{
		URL:     strings.Replace(srv.URL, "://", "://user:p%40ss@", 1) + "/hook?token=tok3n",
		Headers: map[string]string{"X-Custom": "custom", "content-type": "text/plain", "user-agent": "shop"},
		Prefix:  "private-",
	}}
	s := mustNew(t, o)
	s.Occupied("c")
	s.Occupied("private-c")
	r := next(t, requests)
	if !isValid(r) {
		t.Errorf("Pusher's libraries would refuse %+v", r)
	}
	if r.method != http.MethodPost || r.path != "/hook?token=tok3n" {
		t.Errorf("%s %s", r.method, r.path)
	}
	equal(t, "events", eventsOf(t, r.body), []string{"channel_occupied private-c"})
	for name, want := range map[string]string{
		"Authorization":   "Basic dXNlcjpwQHNz", // user:p@ss
		"X-Custom":        "custom",
		"User-Agent":      "shop",
		"Idempotency-Key": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(r.header) != 7 { // with Content-Type, Content-Length and Pusher's two
		t.Errorf("headers %v", r.header)
	}
	mustShutdown(t, s)
	if out.String() != "" {
		t.Errorf("the log:\n%s", out)
	}
}

// TestRequestsShareAConnection, though the answers have bodies.
func TestRequestsShareAConnection(t *testing.T) {
	peers := make(chan string, 2)
	srv, requests := receive(t, func(w http.ResponseWriter, r *http.Request) {
		peers <- r.RemoteAddr
		_, _ = io.WriteString(w, strings.Repeat("a", 10_000))
	})
	o, _, _ := options(nil)
	o.Hooks[0].URL = srv.URL
	s := mustNew(t, o)
	s.Occupied("a")
	next(t, requests)
	s.Occupied("b")
	next(t, requests)
	if first, second := <-peers, <-peers; first != second {
		t.Errorf("requests came from %s and %s", first, second)
	}
	mustShutdown(t, s)
}

// TestBadReceivers fail; the log tells why, but nothing that is secret.
func TestBadReceivers(t *testing.T) {
	elsewhere := make(chan struct{}, 1)
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere <- struct{}{} }))
	defer away.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it is refused, and would say so
	untrusted.StartTLS()
	defer untrusted.Close()
	plain, _ := receive(t, nil)
	status := func(status int, location string) string {
		srv, _ := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		})
		return srv.URL
	}
	garbage, _ := receive(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "tok3n "+r.Header.Get("X-Token")+"\r\n\r\n")
		_ = conn.Close()
	})
	closes, _ := receive(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })

	for name, c := range map[string]struct{ url, result, want string }{
		"redirects":   {status(http.StatusTemporaryRedirect, away.URL), "refused", "the receiver answered 307; redirects are not followed, so configure the final URL"},
		"fails":       {status(http.StatusInternalServerError, ""), "refused", "the receiver answered 500"},
		"unknown URL": {status(http.StatusNotFound, ""), "refused", "the receiver answered 404"},
		"away":        {gone.URL, "unreachable", "connection refused"},
		"untrusted":   {untrusted.URL, "unreachable", "certificate"},
		"no TLS":      {"https" + strings.TrimPrefix(plain.URL, "http"), "unreachable", "does not speak TLS"},
		"no HTTP":     {garbage.URL, "unreachable", "the answer is not valid HTTP"},
		"closes":      {closes.URL, "unreachable", "the connection was closed before there was an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, _ := options(nil)
			own := newTransport()
			defer own.CloseIdleConnections()
			o.Transport = own
			h, err := newHook(Hook{
				URL:     strings.Replace(c.url, "://", "://us3r:tok3n@", 1) + "/tok3n?a=tok3n",
				Headers: map[string]string{"X-Token": "tok3n"},
			}, 0, o)
			if err != nil {
				t.Fatal(err)
			}
			result, err := h.post(t.Context(), []byte("{}"))
			if result != c.result || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %v, want %s with %q", result, err, c.result, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "tok3n") {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
	select {
	case <-elsewhere:
		t.Error("a redirect was followed")
	default:
	}
}

// TestLogHidesURLs: of a URL the host is logged, nothing else.
func TestLogHidesURLs(t *testing.T) {
	var failures atomic.Int32
	srv, requests := receive(t, func(w http.ResponseWriter, _ *http.Request) {
		if failures.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	o, out, _ := options(nil)
	o.Hooks = []Hook{{
		URL:     strings.Replace(srv.URL, "://", "://us3r:tok3n@", 1) + "/tok3n?a=tok3n",
		Headers: map[string]string{"X-Token": "tok3n"},
	}}
	s := mustNew(t, o)
	s.Occupied("a")
	first, second := next(t, requests), next(t, requests)
	if first.body != second.body || !isValid(second) {
		t.Errorf("first %s, then %s", first.body, second.body)
	}
	mustShutdown(t, s)
	if text := out.String(); out.count("webhook works again") != 1 || !strings.Contains(text, "host="+strings.TrimPrefix(srv.URL, "http://")) ||
		strings.Contains(text, "tok3n") || strings.Contains(text, "us3r") || strings.Contains(text, testSecret) {
		t.Errorf("the log:\n%s", text)
	}
}

// TestRealHangingReceiver is a receiver that takes a request and says nothing,
// beside one that answers.
func TestRealHangingReceiver(t *testing.T) {
	hangs, hanging := receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	works, requests := receive(t, nil)
	o, _, reg := options(nil)
	o.Hooks = []Hook{{URL: hangs.URL}, {URL: works.URL}}
	s := mustNew(t, o)
	s.Occupied("a")
	next(t, hanging)
	for _, channel := range []string{"b", "c", "d"} {
		s.Occupied(channel)
		for !strings.Contains(next(t, requests).body, `"`+channel+`"`) {
		}
	}
	if len(hanging) != 0 {
		t.Error("the hanging receiver got a second request while the first was under way")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); err == nil {
		t.Error("Shutdown tells of nothing that was left")
	}
	wantMetrics(t, reg, map[string]float64{"broadcastd_webhook_dropped_total{app=1,hook=0,reason=shutdown}": 4})
}

// TestEndlessAnswer is read as far as it has to be.
func TestEndlessAnswer(t *testing.T) {
	srv, requests := receive(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	o, _, reg := options(nil)
	o.Hooks[0].URL = srv.URL
	s := mustNew(t, o)
	s.Occupied("a")
	next(t, requests)
	mustShutdown(t, s)
	wantMetrics(t, reg, map[string]float64{"broadcastd_webhook_requests_total{app=1,hook=0,result=ok}": 1})
}
