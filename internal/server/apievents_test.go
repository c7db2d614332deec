package server_test

import (
	"net/http"
	"strings"
	"testing"

	"broadcastd/internal/config"
)

func TestAPIInfo(t *testing.T) {
	t.Parallel()
	d := crowd(t)
	const (
		both = `"info":"user_count,subscription_count"`
		room = `{"user_count":2,"subscription_count":3}`
	)
	event := func(channels, more string) string {
		return `{"name":"e","data":"{}",` + channels + more + `}`
	}
	const events, batch = "POST /apps/{app_id}/events", "POST /apps/{app_id}/batch_events"
	tests := map[string]struct{ route, body, want string }{
		"none":                {events, event(`"channel":"jobs"`, ""), `{}`},
		"null":                {events, event(`"channel":"jobs"`, `,"info":null`), `{}`},
		"empty":               {events, event(`"channel":"jobs"`, `,"info":""`), `{}`},
		"public":              {events, event(`"channel":"jobs"`, ","+both), `{"channels":{"jobs":{"subscription_count":2}}}`},
		"presence":            {events, event(`"channel":"presence-room"`, ","+both), `{"channels":{"presence-room":` + room + `}}`},
		"users only":          {events, event(`"channels":["jobs","presence-room"]`, `,"info":"user_count"`), `{"channels":{"jobs":{},"presence-room":{"user_count":2}}}`},
		"vacant":              {events, event(`"channels":["x","presence-x"]`, ","+both), `{"channels":{"x":{"subscription_count":0},"presence-x":{"user_count":0,"subscription_count":0}}}`},
		"twice":               {events, event(`"channels":["jobs","jobs"]`, ","+both), `{"channels":{"jobs":{"subscription_count":2}}}`},
		"unknown":             {events, event(`"channel":"jobs"`, `,"info":"weather,cache"`), `{"channels":{"jobs":{}}}`},
		"batch, none":         {batch, `{"batch":[` + event(`"channel":"jobs"`, "") + `]}`, `{}`},
		"batch, empty":        {batch, `{"batch":[]}`, `{}`},
		"batch, some":         {batch, `{"batch":[` + event(`"channel":"jobs"`, "") + `,` + event(`"channel":"presence-room"`, ","+both) + `]}`, `{"batch":[{},` + room + `]}`},
		"batch, same":         {batch, `{"batch":[` + event(`"channel":"jobs"`, ","+both) + `,` + event(`"channel":"jobs"`, ","+both) + `]}`, `{"batch":[{"subscription_count":2},{"subscription_count":2}]}`},
		"batch, inapplicable": {batch, `{"batch":[` + event(`"channel":"jobs"`, `,"info":"user_count"`) + `]}`, `{"batch":[{}]}`},
	}
	paths := map[string]string{events: appPath + "/events", batch: appPath + "/batch_events"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := d.post(t, paths[test.route], []byte(test.body))
			wantDocumented(t, test.route, got)
			if got.status != http.StatusOK || !sameJSON(t, got.body, test.want) {
				t.Errorf("%d %s, want %s", got.status, got.body, test.want)
			}
		})
	}
	for name, test := range map[string]struct{ route, body string }{
		"a number":        {events, event(`"channel":"jobs"`, `,"info":1`)},
		"an array":        {events, event(`"channel":"jobs"`, `,"info":["user_count"]`)},
		"number in batch": {batch, `{"batch":[` + event(`"channel":"jobs"`, `,"info":1`) + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.post(t, paths[test.route], []byte(test.body))
			wantDocumented(t, test.route, got)
			wantErrorLine(t, got, http.StatusBadRequest)
		})
	}
}

// The limit is on the data's text, however it is escaped.
func TestEscapesDoNotCountAsData(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxEventSize = 1000 })
	for n, status := range map[int]int{1000: 200, 1001: 413} {
		body := `{"name":"e","channel":"jobs","data":"` + strings.Repeat(`\u0078`, n) + `"}`
		if got := d.post(t, eventsPath, []byte(body)); got.status != status {
			t.Errorf("%d characters: %d %s, want %d", n, got.status, got.body, status)
		}
	}
}
