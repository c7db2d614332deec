package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
)

// terminated is the close code of a user's connections.
const terminated = 4009

// signin makes the client one of a user's, as the API would sign it.
func (c *client) signin(id string) {
	c.t.Helper()
	data := string(mustJSON(c.t, map[string]string{"id": id}))
	c.send(string(mustJSON(c.t, map[string]any{"event": "pusher:signin", "data": map[string]string{
		"auth": auth.SignUser(appKey, appSecret, c.id, data), "user_data": data,
	}})))
	if m := c.next(); m.Event != "pusher:signin_success" {
		c.t.Fatalf("signing in as %q: %s %s", id, m.Event, m.Data)
	}
}

// TestAPITerminates sends user ids as Pusher's libraries do: signed unescaped,
// then escaped but for their slashes, or wholly.
func TestAPITerminates(t *testing.T) {
	t.Parallel()
	d := start(t)
	const route = "POST /apps/{app_id}/users/{user_id}/terminate_connections"
	path := func(id string) string { return appPath + "/users/" + id + "/terminate_connections" }
	for name, test := range map[string]struct{ id, signed, sent string }{
		"number":            {"7", "7", "7"},
		"space and slash":   {"a b/ü", "a b/ü", "a%20b/%C3%BC"},
		"slash escaped":     {"x/y", "x/y", "x%2Fy"},
		"signed as sent":    {"p/q r", "p%2Fq%20r", "p%2Fq%20r"},
		"two slashes":       {"s//t", "s//t", "s%2F%2Ft"},
		"percent":           {"100%", "100%25", "100%25"},
		"like another path": {"u/terminate_connections", "u/terminate_connections", "u/terminate_connections"},
		"dots":              {"..", "..", "%2E%2E"},
		"question mark":     {"who?", "who?", "who%3F"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, member, other := d.connect(t), d.connect(t), d.connect(t)
			in.signin(test.id)
			other.signin(test.id + "x")
			member.join("presence-"+strings.ReplaceAll(name, " ", "-"), test.id)
			query := auth.SignRequest(http.MethodPost, path(test.signed), nil, []byte("{}"), appKey, appSecret, time.Now())
			got := d.do(t, http.MethodPost, path(test.sent)+"?"+query, []byte("{}"), nil)
			wantDocumented(t, route, got)
			if got.status != http.StatusOK || got.body != "{}" {
				t.Fatalf("%d %s", got.status, got.body)
			}
			in.wantClose(terminated)
			member.wantClose(terminated)
			other.fence()
		})
	}
	for name, body := range map[string]string{"no body": "", "another body": `[1]`, "not JSON": "\xff"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := d.signed(t, http.MethodPost, path("nobody"), nil, body)
			wantDocumented(t, route, got)
			if got.status != http.StatusOK || got.body != "{}" {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	for name, target := range map[string]string{
		"no id":        appPath + "/users/terminate_connections",
		"empty id":     path(""),
		"another verb": appPath + "/users/7/delete",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantErrorLine(t, d.signed(t, http.MethodPost, target, nil, "{}"), http.StatusNotFound)
		})
	}
}
