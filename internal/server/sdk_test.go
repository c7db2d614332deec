package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
)

// TestPHPLibrary sends what Pusher's PHP library did, signed anew over the path
// that it signs: unescaped.
func TestPHPLibrary(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "http-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	var requests []struct {
		Driver, Event, Method, Path, Body string
		Query                             map[string]string
	}
	if err := json.Unmarshal(text, &requests); err != nil {
		t.Fatal(err)
	}
	const member = `{"user_count":2,"subscription_count":3}`
	want := map[string]string{
		"sdk-triggerBatch":                    `{"batch":[{},{},` + member + `]}`,
		"sdk-trigger-info":                    `{"channels":{"jobs.discovery":{"subscription_count":1},"presence-room.5":` + member + `}}`,
		"sdk-trigger-string-data":             `{}`,
		"sdk-trigger-already-encoded":         `{}`,
		"sdk-sendToUser":                      `{}`,
		"sdk-getChannels":                     `{"channels":{"presence-room.5":{"user_count":2}}}`,
		"sdk-getChannels-no-params":           `{"channels":{"jobs.discovery":{},"presence-room.5":{}}}`,
		"sdk-getChannelInfo":                  `{"occupied":true,"user_count":2,"subscription_count":3}`,
		"sdk-getPresenceUsers":                `{"users":[{"id":"1"},{"id":"2"}]}`,
		"sdk-terminateUserConnections":        `{}`,
		"sdk-terminateUserConnections-odd-id": `{}`,
	}
	d := start(t)
	for _, user := range []string{"1", "2", "2"} {
		d.connect(t).join("presence-room.5", user)
	}
	d.connect(t).subscribe("jobs.discovery")
	terminated := map[string]*client{"7": d.connect(t), "a b/ü": d.connect(t)}
	for id, c := range terminated {
		c.signin(id)
	}
	seen := map[string]bool{}
	for _, r := range requests {
		if !strings.HasPrefix(r.Event, "sdk-") {
			continue
		}
		seen[r.Event] = true
		params := map[string]string{}
		for name, value := range r.Query {
			if !strings.HasPrefix(name, "auth_") && name != "body_md5" {
				params[name] = value
			}
		}
		signed, err := url.PathUnescape(r.Path)
		if err != nil {
			t.Fatal(err)
		}
		query := auth.SignRequest(r.Method, signed, params, []byte(r.Body), appKey, appSecret, time.Now())
		got := d.do(t, r.Method, r.Path+"?"+query, []byte(r.Body), nil)
		if got.status != http.StatusOK || !sameJSON(t, got.body, want[r.Event]) {
			t.Errorf("%s %s: %d %s, want %s", r.Driver, r.Event, got.status, got.body, want[r.Event])
		}
	}
	for event := range want {
		if !seen[event] {
			t.Errorf("no recorded request is called %q", event)
		}
	}
	for id, c := range terminated {
		op, payload, err := c.read()
		for ; op == opText && err == nil; op, payload, err = c.read() {
			// Published before.
		}
		if op != opClose {
			t.Errorf("user %s: opcode %#x %q, %v", id, op, payload, err)
		}
	}
}
