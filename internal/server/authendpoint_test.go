package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

const authPath = "/broadcasting/auth"

func bearer(contentType string) http.Header {
	return http.Header{"Content-Type": {contentType}, "Authorization": {"Bearer " + token}}
}

const formType = "application/x-www-form-urlencoded"

func TestAuthEndpoint(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure)
	c := d.connect(t)
	id := c.id.String()
	form := func(channel string) string {
		return url.Values{"socket_id": {id}, "channel_name": {channel}}.Encode()
	}
	asJSON := `{"socket_id":"` + id + `","channel_name":"private-user.7"}`
	tests := map[string]struct {
		body   string
		header http.Header
		status int
	}{
		"form":               {form("private-user.7"), bearer(formType), 200},
		"form with charset":  {form("private-user.7"), bearer(formType + "; charset=UTF-8"), 200},
		"form of no type":    {form("private-user.7"), bearer(""), 200},
		"JSON":               {asJSON, bearer("application/json"), 200},
		"JSON as text":       {asJSON, bearer("text/plain"), 200},
		"cookie":             {form("private-user.7"), http.Header{"Content-Type": {formType}, "Cookie": {"a=b; session=" + token}}, 200},
		"presence":           {form("presence-room.5"), bearer(formType), 200},
		"not known":          {form("private-user.7"), http.Header{"Content-Type": {formType}}, 401},
		"other token":        {form("private-user.7"), http.Header{"Authorization": {"Bearer x"}}, 401},
		"not allowed":        {form("private-user.8"), bearer(formType), 403},
		"API broken":         {form("private-broken"), bearer(formType), 500},
		"API redirects":      {form("private-login"), bearer(formType), 401},
		"public channel":     {form("jobs"), bearer(formType), 400},
		"user's channel":     {form("#server-to-user-7"), bearer(formType), 400},
		"bad name":           {form("private-user.7 "), bearer(formType), 400},
		"normalised by API":  {form("private-private-user.7\x00"), bearer(formType), 400},
		"no channel":         {"socket_id=" + id, bearer(formType), 400},
		"no socket":          {"channel_name=private-user.7", bearer(formType), 400},
		"malformed socket":   {"channel_name=private-user.7&socket_id=abc", bearer(formType), 400},
		"impossible socket":  {"channel_name=private-user.7&socket_id=0.0", bearer(formType), 400},
		"socket with a more": {"channel_name=private-user.7&socket_id=" + id + ":x", bearer(formType), 400},
		"empty":              {"", bearer(formType), 400},
		"bad escape":         {"%zz", bearer(formType), 400},
		"bad JSON":           {"{", bearer("application/json"), 400},
		"JSON of numbers":    {`{"socket_id":1.2,"channel_name":3}`, bearer("application/json"), 400},
		"JSON list":          {`[]`, bearer("application/json"), 400},
		"too large":          {form("private-user.7") + "&x=" + strings.Repeat("x", 20_000), bearer(formType), 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.t = t
			got := d.do(t, http.MethodPost, authPath, []byte(test.body), test.header)
			if test.status != http.StatusOK {
				wantErrorLine(t, got, test.status)
				return
			}
			var grant auth.Grant
			if err := json.Unmarshal([]byte(got.body), &grant); err != nil || got.status != 200 || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%d %q: %v", got.status, got.body, err)
			}
			channel := "private-user.7"
			if grant.ChannelData != "" {
				channel = "presence-room.5"
			}
			c.send(string(mustJSON(t, map[string]any{"event": "pusher:subscribe", "data": map[string]string{
				"channel": channel, "auth": grant.Auth, "channel_data": grant.ChannelData,
			}})))
			if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" || m.Channel != channel {
				t.Errorf("subscribing with the grant: %+v", m)
			}
		})
	}
	for _, call := range a.called() {
		if call.Header.Get("X-Requested-With") != "XMLHttpRequest" || call.Header.Get("Accept") != "application/json" {
			t.Errorf("the API would answer this call with a web page: %v", call.Header)
		}
	}
}

func TestAuthEndpointOrigins(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	any, named := start(t, a.configure), start(t, a.configure, func(c *config.Config) {
		c.App.AllowedOrigins = []string{"example.com", "*.example.org"}
	})
	tests := map[string]struct {
		d                   *daemon
		origin              string
		allow, credentials  string
		status, preflighted int
	}{
		"any":           {any, "https://a.test", "*", "", 200, 204},
		"none given":    {any, "", "*", "", 200, 204},
		"named":         {named, "https://example.com", "https://example.com", "true", 200, 204},
		"wildcard":      {named, "https://www.example.org:8443", "https://www.example.org:8443", "true", 200, 204},
		"no origin":     {named, "", "", "", 200, 204},
		"foreign":       {named, "https://evil.test", "", "", 403, 403},
		"null":          {named, "null", "", "", 403, 403},
		"similar":       {named, "https://example.com.evil.test", "", "", 403, 403},
		"not an origin": {named, "example.com", "", "", 403, 403},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := bearer(formType)
			preflight := http.Header{
				"Access-Control-Request-Method":  {"POST"},
				"Access-Control-Request-Headers": {"authorization,x-csrf-token"},
			}
			if test.origin != "" {
				header["Origin"], preflight["Origin"] = []string{test.origin}, []string{test.origin}
			}
			cors := func(what string, got reply) {
				t.Helper()
				h := got.header
				if h.Get("Access-Control-Allow-Origin") != test.allow || h.Get("Access-Control-Allow-Credentials") != test.credentials {
					t.Errorf("%s: origin %q and credentials %q are allowed, want %q and %q", what,
						h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"), test.allow, test.credentials)
				}
				if test.d == named && got.status != 403 && !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
					t.Errorf("%s: Vary is %v", what, h.Values("Vary"))
				}
			}
			id := protocol.NewSocketID(1).String()
			got := test.d.do(t, http.MethodPost, authPath, []byte("channel_name=private-user.7&socket_id="+id), header)
			if got.status != test.status {
				t.Errorf("status %d %s, want %d", got.status, got.body, test.status)
			}
			cors("POST", got)
			if got.status == http.StatusOK {
				// A page has to be able to read a no, too.
				cors("refused POST", test.d.do(t, http.MethodPost, authPath, nil, header))
			}

			got = test.d.do(t, http.MethodOptions, authPath, nil, preflight)
			if got.status != test.preflighted {
				t.Errorf("preflight: status %d %s, want %d", got.status, got.body, test.preflighted)
			}
			cors("preflight", got)
			if test.allow != "" && (got.header.Get("Access-Control-Allow-Headers") != "authorization,x-csrf-token" ||
				got.header.Get("Access-Control-Allow-Methods") != "POST" || got.header.Get("Access-Control-Max-Age") == "") {
				t.Errorf("preflight: %v", got.header)
			}
		})
	}
}

func TestAuthEndpointRoutes(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	one := start(t, a.configure)
	several := start(t, a.configure, func(c *config.Config) {
		c.Path = "/ws"
		c.Auth.Path = "/may-i"
		other := c.App
		other.ID, other.Key, other.Secret = "other", "other-key", "other-secret"
		c.Apps = []config.App{other}
	})
	none := start(t)
	body := []byte("channel_name=private-user.7&socket_id=" + protocol.NewSocketID(1).String())
	tests := map[string]struct {
		d            *daemon
		method, path string
		status       int
		signer       string
	}{
		"one app":               {one, "POST", authPath, 200, appKey},
		"one app by key":        {one, "POST", authPath + "/app-key", 200, appKey},
		"unknown key":           {one, "POST", authPath + "/other-key", 404, ""},
		"several need the key":  {several, "POST", "/may-i", 404, ""},
		"first of several":      {several, "POST", "/may-i/app-key", 200, appKey},
		"second of several":     {several, "POST", "/may-i/other-key", 200, "other-key"},
		"default path replaced": {several, "POST", authPath, 404, ""},
		"GET":                   {one, "GET", authPath, 405, ""},
		"no API configured":     {none, "POST", authPath, 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.d.do(t, test.method, test.path, body, bearer(formType))
			if test.status != 200 {
				wantErrorLine(t, got, test.status)
				return
			}
			if got.status != 200 || !strings.HasPrefix(got.body, `{"auth":"`+test.signer+`:`) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}
