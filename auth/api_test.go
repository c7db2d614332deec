package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestNewAPIRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*APIConfig)
		says   string
	}{
		"no endpoint":        {func(c *APIConfig) { c.Endpoint = "" }, "auth.endpoint"},
		"no URL for users":   {func(c *APIConfig) { c.UserEndpoint = "/broadcasting/user-auth" }, "auth.user_endpoint"},
		"users only, no URL": {func(c *APIConfig) { c.Endpoint, c.UserEndpoint = "", "ftp://localhost/" }, "auth.user_endpoint"},
		"users, password":    {func(c *APIConfig) { c.UserEndpoint = "http://u:pw@localhost/" }, "auth.user_endpoint"},
		"a path":             {func(c *APIConfig) { c.Endpoint = "/broadcasting/auth" }, "auth.endpoint"},
		"no scheme":          {func(c *APIConfig) { c.Endpoint = "localhost:8000/broadcasting/auth" }, "auth.endpoint"},
		"ftp":                {func(c *APIConfig) { c.Endpoint = "ftp://localhost/" }, "auth.endpoint"},
		"password":           {func(c *APIConfig) { c.Endpoint = "http://u:pw@localhost/" }, "auth.endpoint"},
		"password, bad URL":  {func(c *APIConfig) { c.Endpoint = "http://u:pw@localhost:x/" }, "auth.endpoint"},
		"no timeout":         {func(c *APIConfig) { c.Timeout = 0 }, "auth.timeout"},
		"no slots":           {func(c *APIConfig) { c.MaxConcurrent = 0 }, "auth.max_concurrent"},
		"Host":               {func(c *APIConfig) { c.Headers = []string{"host"} }, `"host"`},
		"Connection":         {func(c *APIConfig) { c.Headers = []string{"Connection"} }, `"Connection"`},
		"no name":            {func(c *APIConfig) { c.Headers = []string{""} }, "auth.headers"},
		"a bad name":         {func(c *APIConfig) { c.Headers = []string{"a b"} }, `"a b"`},
	} {
		cfg := APIConfig{Endpoint: "http://localhost/", Timeout: 1, MaxConcurrent: 1}
		tt.change(&cfg)
		_, err := NewAPI(cfg, nil, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: error %q, want one that says %s", name, err, tt.says)
		}
	}
}

func TestAuthorizeRequest(t *testing.T) {
	got := make(chan *http.Request, 1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got <- r
		answer(w, http.StatusOK, "true")
	})
	a := newAsker(t, server.URL+"/broadcasting/auth?guard=api", nil)
	_, err := a.Authorize(t.Context(), app, Request{
		SocketID: socketID(t, "1.2"),
		Channel:  "private-a;b=c,d@e",
		Header: http.Header{
			"Authorization":   {token},
			"Cookie":          {"a=1; b=2", "c=3"},
			"Connection":      {"Upgrade, Authorization"},
			"Upgrade":         {"websocket"},
			"Content-Length":  {"9999"},
			"Host":            {"evil.example"},
			"Accept":          {"text/html"},
			"Accept-Encoding": {"gzip"},
			"User-Agent":      {"a browser"},
			"X-Forwarded-For": {"1.2.3.4"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := <-got
	want := http.Header{
		"Authorization":    {token},
		"Cookie":           {"a=1; b=2", "c=3"},
		"Accept":           {"application/json"},
		"X-Requested-With": {"XMLHttpRequest"},
		"Content-Type":     {"application/x-www-form-urlencoded"},
		"User-Agent":       {"broadcastd"},
		"Content-Length":   {"52"},
	}
	if fmt.Sprint(r.Header) != fmt.Sprint(want) {
		t.Errorf("headers %v, want %v", r.Header, want)
	}
	if r.Method != http.MethodPost || r.Proto != "HTTP/1.1" || "http://"+r.Host != server.URL || r.RequestURI != "/broadcasting/auth?guard=api" {
		t.Errorf("asked %s %s %s of host %s", r.Method, r.RequestURI, r.Proto, r.Host)
	}
	if form := r.PostForm.Encode(); form != "channel_name=private-a%3Bb%3Dc%2Cd%40e&socket_id=1.2" {
		t.Errorf("form is %s", form)
	}
}

func TestAuthorizeDoesNotAsk(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the API was asked") })
	a := newAsker(t, server.URL, nil)
	id := socketID(t, "1.2")
	header := http.Header{"Authorization": {token}}
	for name, tt := range map[string]struct {
		req  Request
		want string
	}{
		"no channel":       {Request{id, "", header}, ReasonBadChannel},
		"public":           {Request{id, "jobs.discovery", header}, ReasonBadChannel},
		"cache":            {Request{id, "cache-jobs", header}, ReasonBadChannel},
		"redis prefix":     {Request{id, "laravel_database_private-job.42", header}, ReasonBadChannel},
		"no prefix":        {Request{id, "job.42", header}, ReasonBadChannel},
		"user":             {Request{id, "#server-to-user-7", header}, ReasonBadChannel},
		"a space":          {Request{id, "private-job.42 ", header}, ReasonBadChannel},
		"a colon":          {Request{id, "private-job:42", header}, ReasonBadChannel},
		"a newline":        {Request{id, "private-job.42\n", header}, ReasonBadChannel},
		"too long":         {Request{id, "private-" + strings.Repeat("a", 300), header}, ReasonBadChannel},
		"nobody's socket":  {Request{0, channel, header}, ReasonMalformed},
		"newline in token": {Request{id, channel, http.Header{"Authorization": {"Bearer a\r\nX: y"}}}, ReasonMalformed},
		"newline in other": {Request{id, channel, http.Header{"Cookie": {"a=b", "c\x00"}}}, ReasonMalformed},
	} {
		_, err := a.Authorize(t.Context(), app, tt.req)
		if got := reasonOf(t, err); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		} else if status := refusal(t, err).Status; status != 400 {
			t.Errorf("%s: status %d, want 400", name, status)
		}
	}
	if n := a.value(t, "broadcastd_auth_requests_total", ReasonBadChannel); n != 10 {
		t.Errorf("%v refusals counted as bad_channel, want 10", n)
	}
}

func TestAuthorizeWaitsForASlot(t *testing.T) {
	const slots, requests = 2, 7
	var underWay, most atomic.Int32
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := underWay.Add(1)
		defer underWay.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-release
		answer(w, http.StatusOK, "true")
	})
	a := newAsker(t, server.URL, func(c *APIConfig) { c.MaxConcurrent = slots })
	results := make(chan error, requests)
	for range requests {
		go func() {
			_, err := a.authorize(t, channel)
			results <- err
		}()
	}
	eventually(t, "the slots are taken and the others wait", func() bool {
		return underWay.Load() == slots && a.value(t, "broadcastd_auth_requests_in_flight", "") == slots &&
			a.value(t, "broadcastd_auth_requests_waiting", "") == requests-slots
	})
	close(release)
	for range requests {
		if err := <-results; err != nil {
			t.Errorf("a request that waited: %v", err)
		}
	}
	if most.Load() != slots {
		t.Errorf("%d calls at once, want %d", most.Load(), slots)
	}
	for _, gauge := range []string{"broadcastd_auth_requests_in_flight", "broadcastd_auth_requests_waiting"} {
		if n := a.value(t, gauge, ""); n != 0 {
			t.Errorf("%s is %v in the end", gauge, n)
		}
	}
	for _, name := range []string{"broadcastd_auth_requests_total", "broadcastd_auth_request_seconds"} {
		if n := a.value(t, name, resultOK); n != requests {
			t.Errorf("%s counts %v, want %d", name, n, requests)
		}
	}
}

func TestAuthorizeEndsWithItsContext(t *testing.T) {
	hang := make(chan struct{})
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	defer close(hang)
	a := newAsker(t, server.URL, func(c *APIConfig) { c.MaxConcurrent = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 2)
	for range 2 { // one is under way, one waits
		go func() {
			_, err := a.Authorize(ctx, app, Request{SocketID: socketID(t, "1.2"), Channel: channel})
			results <- err
		}()
	}
	eventually(t, "one request waits", func() bool { return a.value(t, "broadcastd_auth_requests_waiting", "") == 1 })
	cancel()
	for range 2 {
		if got := reasonOf(t, <-results); got != ReasonCanceled {
			t.Errorf("%s, want %s", got, ReasonCanceled)
		}
	}
	eventually(t, "the slot is free again", func() bool { return len(a.slots) == 0 })
}

func TestAuthorizeBusy(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		answer(w, http.StatusOK, "true")
	})
	a := newAsker(t, server.URL, func(c *APIConfig) { c.MaxConcurrent, c.MaxWait = 1, time.Millisecond })
	first := make(chan error, 1)
	go func() {
		_, err := a.authorize(t, channel)
		first <- err
	}()
	eventually(t, "the slot is taken", func() bool { return a.value(t, "broadcastd_auth_requests_in_flight", "") == 1 })
	_, err := a.authorize(t, channel)
	if r := refusal(t, err); r.Reason != ReasonBusy || r.Status != 503 {
		t.Errorf("refused with %s and %d, want busy and 503", r.Reason, r.Status)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the request under way: %v", err)
	}
}

func TestAuthorizeKeepsConnections(t *testing.T) {
	var opened atomic.Int32
	status := http.StatusOK
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, status, "true")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	a := newAsker(t, server.URL, nil)
	for _, status = range []int{200, 403, 500, 302, 200} {
		_, err := a.authorize(t, channel)
		if (err == nil) != (status == 200) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections for five calls in a row, want 1", opened.Load())
	}
	// A connection that the API closed in the meantime is no refusal.
	server.CloseClientConnections()
	if _, err := a.authorize(t, channel); err != nil {
		t.Errorf("after the API closed the connection: %v", err)
	}
}

func TestGrantJSON(t *testing.T) {
	for name, tt := range map[string]struct {
		grant Grant
		want  string
	}{
		"private":   {Grant{Auth: "k:s"}, `{"auth":"k:s"}`},
		"presence":  {Grant{Auth: "k:s", ChannelData: `{"user_id":"7"}`}, `{"auth":"k:s","channel_data":"{\"user_id\":\"7\"}"}`},
		"encrypted": {Grant{Auth: "k:s", SharedSecret: "c2Vj"}, `{"auth":"k:s","shared_secret":"c2Vj"}`},
	} {
		if got, err := json.Marshal(tt.grant); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, tt.want)
		}
	}
}

func TestWarningsAreRare(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		if r.FormValue("channel_name") == channel {
			status = http.StatusInternalServerError
		}
		answer(w, status, "[]")
	})
	a := newAsker(t, server.URL, nil)
	for range 5 {
		_, _ = a.authorize(t, channel)
		_, _ = a.authorize(t, "private-job.43")
	}
	if n := strings.Count(a.log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d warnings, want one per reason:\n%s", n, a.log)
	}
	if !a.warnings.due(askChannel.name+" "+ReasonServerError, time.Now().Add(warnEvery)) {
		t.Error("no second warning later")
	}
}
