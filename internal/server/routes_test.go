package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/config"
)

// withAuth gives every route to a daemon that nobody's API is asked by.
func withAuth(c *config.Config) {
	c.Auth.Endpoint, c.Auth.UserEndpoint = "http://127.0.0.1:1/auth", "http://127.0.0.1:1/user-auth"
}

// TestMethods asks every route with every method.
func TestMethods(t *testing.T) {
	t.Parallel()
	d := start(t, withAuth)
	values := strings.NewReplacer("{app_id}", appID, "{key}", appKey, "{channel_name}", "presence-x",
		"{user_id}", "7", "{rest...}", "a/b/terminate_connections")
	for _, route := range d.Routes() {
		allowed, pattern, _ := strings.Cut(route, " ")
		url := "http://" + d.Addr().String() + values.Replace(pattern)
		if pattern == "/metrics" || pattern == "/reload" {
			url = "http://" + d.AdminAddr().String() + pattern
		}
		allow := "POST, OPTIONS"
		switch {
		case pattern == "/app/{key}":
			allow = "GET, OPTIONS"
		case allowed == http.MethodGet:
			allow = "GET, HEAD, OPTIONS"
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			got := d.ask(t, method, url, nil, http.Header{
				"Origin": {"https://example.com"}, "Access-Control-Request-Method": {allowed},
				"Access-Control-Request-Headers": {"content-type"},
			})
			what := method + " " + pattern
			switch {
			case method == http.MethodOptions:
				if got.status != http.StatusNoContent || got.body != "" || got.header.Get("Allow") != allow ||
					got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Methods") != allowed ||
					got.header.Get("Access-Control-Allow-Headers") != "content-type" {
					t.Errorf("%s: %d %q %v", what, got.status, got.body, got.header)
				}
			case strings.Contains(allow, method):
				if got.status == http.StatusMethodNotAllowed {
					t.Errorf("%s: not allowed", what)
				}
			default:
				if got.header.Get("Allow") != allow {
					t.Errorf("%s: Allow is %q, want %q", what, got.header.Get("Allow"), allow)
				}
				if method == http.MethodHead {
					if got.status != http.StatusMethodNotAllowed || got.body != "" {
						t.Errorf("%s: %d %q", what, got.status, got.body)
					}
					continue
				}
				wantErrorLine(t, got, http.StatusMethodNotAllowed)
				if !strings.Contains(pattern, "...") {
					wantDocumented(t, route, got)
				}
			}
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, path := range []string{appPath + "/channels", appPath + "/channels/jobs", appPath + "/channels/presence-x/users", appPath + "/connections"} {
		get, head := d.get(t, path, nil), d.signed(t, http.MethodHead, path, nil, "")
		if head.status != http.StatusOK || head.body != "" || get.header.Get("Content-Length") == "" ||
			head.header.Get("Content-Length") != get.header.Get("Content-Length") || head.header.Get("Content-Type") != "application/json" {
			t.Errorf("HEAD %s: %d %q %v, of GET %v", path, head.status, head.body, head.header, get.header)
		}
		// The method is part of what is signed.
		query := auth.SignRequest(http.MethodGet, path, nil, nil, appKey, appSecret, time.Now())
		if got := d.do(t, http.MethodHead, path+"?"+query, nil, nil); got.status != http.StatusUnauthorized {
			t.Errorf("HEAD %s signed as GET: %d", path, got.status)
		}
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	d := start(t)
	prefixed := start(t, func(c *config.Config) { c.Path = "/ws" })
	for name, test := range map[string]struct {
		d    *daemon
		path string
	}{
		"root":             {d, "/"},
		"unknown":          {d, "/apps"},
		"no route":         {d, appPath + "/weather"},
		"slash after":      {d, appPath + "/events/"},
		"slashes":          {d, "/" + appPath + "/events"},
		"slashes within":   {d, "/apps//" + appID + "/events"},
		"dot":              {d, "/apps/./" + appID + "/events"},
		"dots":             {d, "/x/../apps/" + appID + "/events"},
		"dots at the end":  {d, appPath + "/events/.."},
		"no API to ask":    {d, "/broadcasting/auth"},
		"nor for users":    {d, "/broadcasting/user-auth"},
		"metrics":          {d, "/metrics"},
		"under the prefix": {prefixed, "/weather"},
		"the prefix twice": {prefixed, "/ws" + appPath + "/events"},
		"another app":      {d, "/apps/other/events"},
		"odd app":          {d, "/apps/%00%FF/events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodPost, http.MethodPut} {
				if method == http.MethodPut && (strings.Contains(name, "app") || strings.HasPrefix(test.path, "/broadcasting/")) {
					continue // the route is there
				}
				wantErrorLine(t, test.d.do(t, method, test.path, []byte("{}"), nil), http.StatusNotFound)
			}
		})
	}
	outside := prefixed.ask(t, http.MethodPost, "http://"+prefixed.Addr().String()+appPath+"/events", nil, nil)
	wantErrorLine(t, outside, http.StatusNotFound)
	if n := prefixed.metric(t, `broadcastd_http_requests_total{code="404",route="other"}`); n == 0 {
		t.Error("not counted")
	}
}

// TestPrefix signs with and without the configured path.
func TestPrefix(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.Path = "/ws" })
	for name, test := range map[string]struct {
		signed string
		status int
	}{
		"without": {appPath + "/connections", 200},
		"with":    {"/ws" + appPath + "/connections", 200},
		"other":   {"/wss" + appPath + "/connections", 401},
	} {
		query := auth.SignRequest(http.MethodGet, test.signed, nil, nil, appKey, appSecret, time.Now())
		if got := d.do(t, http.MethodGet, appPath+"/connections?"+query, nil, nil); got.status != test.status {
			t.Errorf("signed %s the prefix: %d %s, want %d", name, got.status, got.body, test.status)
		}
	}
}

// TestPipelining sends everything at once, good and bad, and reads the answers
// afterwards, in order, from one connection.
func TestPipelining(t *testing.T) {
	t.Parallel()
	d := start(t)
	listener := d.connect(t)
	listener.subscribe("jobs")
	request := func(method, path, body string, sign bool) string {
		if sign {
			path += "?" + auth.SignRequest(method, path, nil, []byte(body), appKey, appSecret, time.Now())
		}
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	}
	event := func(n int) string { return fmt.Sprintf(`{"name":"e","channel":"jobs","data":"%d"}`, n) }
	sent := []struct {
		text, method string
		status       int
	}{
		{request("POST", appPath+"/events", event(1), true), "POST", 200},
		{request("POST", appPath+"/events", event(2), false), "POST", 401},
		{request("GET", appPath+"/channels", "", true), "GET", 200},
		{request("POST", appPath+"/events", `{"name"`, true), "POST", 400},
		{request("PUT", appPath+"/events", event(3), true), "PUT", 405},
		{request("HEAD", appPath+"/channels", "", true), "HEAD", 200},
		{request("POST", "/weather", event(4), true), "POST", 404},
		{request("OPTIONS", appPath+"/events", "", false), "OPTIONS", 204},
		{request("POST", appPath+"/events", event(5), true), "POST", 200},
	}
	c := d.dial(t)
	for _, s := range sent {
		c.write([]byte(s.text))
	}
	for i, s := range sent {
		res := c.responseTo(s.method)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != s.status || res.Close {
			t.Fatalf("answer %d: %d %q, closes %v (%v); want %d", i, res.StatusCode, body, res.Close, err, s.status)
		}
	}
	listener.wantEvent("jobs", "e", "1")
	listener.wantEvent("jobs", "e", "5")
	listener.fence()
}

// responseTo reads a response to a request with this method.
func (c *client) responseTo(method string) *http.Response {
	c.t.Helper()
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	res, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading a response: %v", err)
	}
	return res
}

// TestCORS has the API's answers, a no as well, read by any page: no cookie
// counts there.
func TestCORS(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.AllowedOrigins = []string{"example.com"} })
	for name, got := range map[string]reply{
		"yes": d.get(t, appPath+"/connections", nil),
		"no":  d.do(t, http.MethodGet, appPath+"/connections", nil, http.Header{"Origin": {"https://example.org"}}),
	} {
		if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
}
