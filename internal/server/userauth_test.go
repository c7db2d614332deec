package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

const userAuthPath = "/broadcasting/user-auth"

// usersAPI is an application that knows two tokens: of one it answers as
// Laravel's redis driver, of the other as its reverb driver does, for the app
// under test.
func usersAPI(t testing.TB) func(*config.Config) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := protocol.ParseSocketID(r.FormValue("socket_id"))
		if !ok || r.URL.Path != userAuthPath || r.Form.Has("channel_name") {
			http.Error(w, "{}", http.StatusUnprocessableEntity)
			return
		}
		switch r.Header.Get("Authorization") {
		case "Bearer " + token:
			_, _ = io.WriteString(w, `{"id":7,"user_info":{"name":"Ann"},"watchlist":["8"]}`)
		case "Bearer signs":
			const data = `{"id":"8"}`
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			_ = json.NewEncoder(w).Encode(auth.UserGrant{Auth: auth.SignUser(appKey, appSecret, id, data), UserData: data})
		case "Bearer login":
			http.Redirect(w, r, "/login", http.StatusFound)
		case "Bearer nobody":
			_, _ = io.WriteString(w, `{"user_info":{}}`)
		default:
			http.Error(w, `{"message":"Unauthenticated."}`, http.StatusUnauthorized)
		}
	}))
	t.Cleanup(srv.Close)
	return func(c *config.Config) { c.Auth.UserEndpoint = srv.URL + userAuthPath }
}

func TestUserAuthEndpoint(t *testing.T) {
	t.Parallel()
	d := start(t, usersAPI(t))
	form := func(id string) string { return "socket_id=" + id + "&channel_name=private-x&more=1" }
	asJSON := func(id string) string { return `{"socket_id":"` + id + `"}` }
	for name, test := range map[string]struct {
		token  string
		body   func(id string) string
		status int
		data   string // user_data
	}{
		"unsigned":        {token, form, 200, `{"id":"7","user_info":{"name":"Ann"},"watchlist":["8"]}`},
		"JSON":            {token, asJSON, 200, `{"id":"7","user_info":{"name":"Ann"},"watchlist":["8"]}`},
		"signed":          {"signs", form, 200, `{"id":"8"}`},
		"unknown":         {"other", form, 401, ""},
		"redirected":      {"login", form, 401, ""},
		"no id":           {"nobody", form, 502, ""},
		"no socket":       {token, func(string) string { return "" }, 400, ""},
		"bad socket":      {token, func(string) string { return "socket_id=x" }, 400, ""},
		"nobody's socket": {token, func(string) string { return "socket_id=99999999999.1" }, 400, ""},
		"not JSON":        {token, func(string) string { return `{"socket_id"` }, 400, ""},
		"socket a number": {token, func(string) string { return `{"socket_id":1.2}` }, 400, ""},
		"too long":        {token, func(id string) string { return form(id) + strings.Repeat("&x=1", 5000) }, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := d.connect(t)
			got := d.do(t, http.MethodPost, userAuthPath, []byte(test.body(c.id.String())), http.Header{
				"Authorization": {"Bearer " + test.token}, "Content-Type": {"application/x-www-form-urlencoded"},
			})
			wantDocumented(t, "POST "+userAuthPath, got)
			if test.status != http.StatusOK {
				wantErrorLine(t, got, test.status)
				return
			}
			var grant auth.UserGrant
			if err := json.Unmarshal([]byte(got.body), &grant); err != nil || got.status != http.StatusOK || grant.UserData != test.data {
				t.Fatalf("%d %s (%v), want user_data %s", got.status, got.body, err, test.data)
			}
			// What pusher-js does with it.
			c.send(string(mustJSON(t, map[string]any{"event": "pusher:signin", "data": grant})))
			if m := c.next(); m.Event != "pusher:signin_success" {
				t.Errorf("signing in with the grant: %s %s", m.Event, m.Data)
			}
		})
	}
}

func TestUserAuthRoutes(t *testing.T) {
	t.Parallel()
	one := start(t, usersAPI(t), func(c *config.Config) { c.App.AllowedOrigins = []string{"example.com"} })
	several := start(t, usersAPI(t), func(c *config.Config) {
		c.Path = "/ws"
		c.Auth.UserPath = "/who-am-i"
		other := c.App
		other.ID, other.Key, other.Secret = "other", "other-key", "other-secret-0123456789"
		c.Apps = []config.App{other}
	})
	for name, test := range map[string]struct {
		d      *daemon
		path   string
		origin string
		status int
		signer string
	}{
		"one app":                {one, userAuthPath, "", 200, appKey},
		"by key":                 {one, userAuthPath + "/" + appKey, "https://example.com", 200, appKey},
		"unknown key":            {one, userAuthPath + "/other-key", "", 404, ""},
		"foreign origin":         {one, userAuthPath, "https://example.org", 403, ""},
		"channels aren't asked":  {one, "/broadcasting/auth", "", 404, ""},
		"several need the key":   {several, "/who-am-i", "", 404, ""},
		"second of several":      {several, "/who-am-i/other-key", "", 200, "other-key"},
		"default path is moved":  {several, userAuthPath, "", 404, ""},
		"another app's is no go": {several, "/who-am-i/third-key", "", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Authorization": {"Bearer " + token}}
			if test.origin != "" {
				header["Origin"] = []string{test.origin}
			}
			got := test.d.do(t, http.MethodPost, test.path, []byte("socket_id=1.2"), header)
			if test.status != http.StatusOK {
				wantErrorLine(t, got, test.status)
				return
			}
			if got.status != http.StatusOK || !strings.HasPrefix(got.body, `{"auth":"`+test.signer+`:`) ||
				got.header.Get("Cache-Control") != "no-store" || got.header.Get("Access-Control-Allow-Origin") != map[bool]string{true: test.origin, false: "*"}[test.d == one] {
				t.Errorf("%d %s %v", got.status, got.body, got.header)
			}
		})
	}
	preflight := func(origin string) reply {
		return one.do(t, http.MethodOptions, userAuthPath, nil, http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
		})
	}
	got := preflight("https://example.com")
	if got.status != http.StatusNoContent || got.header.Get("Allow") != "POST, OPTIONS" || got.header.Get("Access-Control-Allow-Credentials") != "true" ||
		got.header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
	wantErrorLine(t, preflight("https://example.org"), http.StatusForbidden)
	if n := one.metric(t, `broadcastd_auth_requests_total{kind="channel",result="ok"}`); n != 0 {
		t.Errorf("%v calls counted as about channels", n)
	}
	// An unsigned subscription asks nobody either.
	c := one.connect(t, "Authorization: Bearer "+token)
	c.send(`{"event":"pusher:subscribe","data":{"channel":"private-user.7"}}`)
	c.wantRefused("private-user.7", "AuthError", http.StatusUnauthorized)
}
