package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testAPI is a market with one job, 42, of client 7, and what Redis hears.
type testAPI struct {
	handler http.Handler
	heard   <-chan *redis.Message
}

func newTestAPI(t *testing.T) *testAPI {
	t.Helper()
	store := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	listener := client.PSubscribe(context.Background(), "*")
	t.Cleanup(func() { _ = listener.Close() })
	if _, err := listener.Receive(context.Background()); err != nil {
		t.Fatal(err)
	}
	users := []User{
		{7, "Zoë", RoleClient, "token-client-7"},
		{9, "José", RoleFreelancer, "token-freelancer-9"},
		{12, "Mila", RoleFreelancer, "token-stranger-12"},
	}
	market := NewMarket(42, map[int]Money{7: 100000})
	if _, err := market.Post(users[0], "Fix the checkout", "", 50000); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api := &API{
		Log: slog.New(slog.DiscardHandler), Users: users, Market: market,
		Broadcaster: &Broadcaster{Redis: client, Prefix: "laravel-database-"},
	}
	api.Register(mux)
	return &testAPI{mux, listener.Channel()}
}

func (a *testAPI) do(method, path, token, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

// hear returns the next n messages as "channel event".
func (a *testAPI) hear(t *testing.T, n int) (names []string, payloads []string) {
	t.Helper()
	for range n {
		select {
		case m := <-a.heard:
			var message struct{ Event string }
			if err := json.Unmarshal([]byte(m.Payload), &message); err != nil {
				t.Fatalf("%s: %v", m.Payload, err)
			}
			names = append(names, m.Channel+" "+message.Event)
			payloads = append(payloads, m.Payload)
		case <-time.After(10 * time.Second):
			t.Fatalf("heard only %d of %d messages: %v", len(names), n, names)
		}
	}
	return names, payloads
}

// TestBroadcastingAuthIsLaravels replays the recorded requests that concern
// jobs and users.
func TestBroadcastingAuthIsLaravels(t *testing.T) {
	api := newTestAPI(t)
	if w := api.do("POST", "/api/jobs/42/claim", "token-freelancer-9", ""); w.Code != http.StatusOK {
		t.Fatalf("claim: %d %s", w.Code, w.Body)
	}
	var recorded []struct {
		Driver, Case string
		Request      struct {
			Method, Path string
			Headers      map[string][]string
			Body         string
		}
		Response struct {
			Status  int
			Headers map[string][]string
			Body    string
		}
	}
	readFixture(t, "broadcasting-auth.json", &recorded)
	cases := []string{
		"private allowed (form)", "private allowed (json)", "private allowed, GET",
		"private allowed, no Accept header", "private allowed, other party",
		"private denied (form)", "private denied (json)",
		"private own user channel", "private other user's channel",
		"private job that does not exist", "unknown channel pattern",
		"public channel, no pattern", "missing channel_name", "empty channel_name",
		"missing socket_id", "empty body", "malformed json body",
		"no bearer token", "wrong bearer token",
	}
	compared := map[string]bool{}
	for _, rec := range recorded {
		if rec.Driver != "redis" || !slices.Contains(cases, rec.Case) {
			continue
		}
		compared[rec.Case] = true
		r := httptest.NewRequest(rec.Request.Method, rec.Request.Path, strings.NewReader(rec.Request.Body))
		r.Header = rec.Request.Headers
		w := httptest.NewRecorder()
		api.handler.ServeHTTP(w, r)
		body := strings.TrimSpace(w.Body.String())
		if w.Code != rec.Response.Status || body != rec.Response.Body {
			t.Errorf("%s: got %d %s, want %d %s", rec.Case, w.Code, body, rec.Response.Status, rec.Response.Body)
		}
		if got, want := w.Header().Get("Content-Type"), rec.Response.Headers["Content-Type"][0]; got != want {
			t.Errorf("%s: Content-Type %q, want %q", rec.Case, got, want)
		}
	}
	for _, name := range cases {
		if !compared[name] {
			t.Errorf("no recording named %q", name)
		}
	}
}

// TestLifeOfAJob follows a job from offer to payment: what each step
// publishes, to whom, and where the money is.
func TestLifeOfAJob(t *testing.T) {
	api := newTestAPI(t)
	const client, freelancer = "token-client-7", "token-freelancer-9"
	steps := []struct {
		name, method, path, token, body string
		status                          int
		events                          []string
		balances                        [2]string // client's, freelancer's
	}{
		{
			"post", "POST", "/api/jobs", client, `{"title":"Paint the door","budget":300}`, 200,
			[]string{"laravel-database-jobs.discovery job.posted"},
			[2]string{"1000.00", "0.00"},
		},
		{
			"claim", "POST", "/api/jobs/43/claim", freelancer, "", 200,
			[]string{
				"laravel-database-private-job.43 job.claimed",
				"laravel-database-private-user.7 job.claimed",
				"laravel-database-jobs.discovery job.updated",
				"laravel-database-private-user.7 wallet.updated",
				"laravel-database-private-user.9 wallet.updated",
			},
			[2]string{"700.00", "60.00"},
		},
		{"claim again", "POST", "/api/jobs/43/claim", "token-stranger-12", "", 409, nil, [2]string{"700.00", "60.00"}},
		{
			"progress", "PATCH", "/api/jobs/43", freelancer, `{"progress":50}`, 200,
			[]string{"laravel-database-private-job.43 job.updated"},
			[2]string{"700.00", "60.00"},
		},
		{"back", "PATCH", "/api/jobs/43", freelancer, `{"progress":25}`, 422, nil, [2]string{"700.00", "60.00"}},
		{"by a stranger", "PATCH", "/api/jobs/43", "token-stranger-12", `{"progress":75}`, 403, nil, [2]string{"700.00", "60.00"}},
		{
			"complete", "PATCH", "/api/jobs/43", freelancer, `{"progress":100}`, 200,
			[]string{
				"laravel-database-private-job.43 job.updated",
				"laravel-database-private-user.9 wallet.updated",
			},
			[2]string{"700.00", "300.00"},
		},
		{"too dear", "POST", "/api/jobs", client, `{"title":"Build a house","budget":99999}`, 422, nil, [2]string{"700.00", "300.00"}},
		{"no title", "POST", "/api/jobs", client, `{"budget":10}`, 422, nil, [2]string{"700.00", "300.00"}},
		{"nonsense", "POST", "/api/jobs", client, `nonsense`, 422, nil, [2]string{"700.00", "300.00"}},
		{"by a freelancer", "POST", "/api/jobs", freelancer, `{"title":"Mine","budget":10}`, 403, nil, [2]string{"700.00", "300.00"}},
		{"unknown job", "POST", "/api/jobs/9/claim", freelancer, "", 404, nil, [2]string{"700.00", "300.00"}},
		{"no token", "POST", "/api/jobs", "", `{}`, 401, nil, [2]string{"700.00", "300.00"}},
	}
	for _, step := range steps {
		w := api.do(step.method, step.path, step.token, step.body)
		if w.Code != step.status {
			t.Fatalf("%s: got %d %s, want %d", step.name, w.Code, w.Body, step.status)
		}
		if events, _ := api.hear(t, len(step.events)); !slices.Equal(events, step.events) {
			t.Fatalf("%s: heard %q, want %q", step.name, events, step.events)
		}
		for i, token := range []string{client, freelancer} {
			wallet, _ := io.ReadAll(api.do("GET", "/api/wallet", token, "").Body)
			if !strings.Contains(string(wallet), `"`+step.balances[i]+`"`) {
				t.Fatalf("%s: wallet of %s is %s, want %s", step.name, token, wallet, step.balances[i])
			}
		}
	}
}

func TestJobsAreForThoseConcerned(t *testing.T) {
	api := newTestAPI(t)
	api.do("POST", "/api/jobs/42/claim", "token-freelancer-9", "")
	for token, want := range map[string]bool{
		"token-client-7": true, "token-freelancer-9": true, "token-stranger-12": false,
	} {
		list := api.do("GET", "/api/jobs", token, "").Body.String()
		if got := strings.Contains(list, `"id":42`); got != want {
			t.Errorf("%s sees the claimed job: %v, want %v: %s", token, got, want, list)
		}
	}
}

// TestToOthers: events leave out the window that caused them, wallets reach
// every window.
func TestToOthers(t *testing.T) {
	api := newTestAPI(t)
	api.do("POST", "/api/jobs/42/claim", "token-freelancer-9", "", "X-Socket-ID", "12.34")
	names, payloads := api.hear(t, 5)
	for i, payload := range payloads {
		want := `"socket":"12.34"},"socket":"12.34"}`
		if strings.HasSuffix(names[i], "wallet.updated") {
			want = `},"socket":null}`
		}
		if !strings.HasSuffix(payload, want) || !strings.Contains(payload, `"sent_at":`) {
			t.Errorf("%s: %s, want sent_at and %s", names[i], payload, want)
		}
	}
}
