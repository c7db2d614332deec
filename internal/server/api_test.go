package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

const (
	eventsPath = "/apps/" + appID + "/events"
	batchPath  = "/apps/" + appID + "/batch_events"
)

func TestAPIAccepts(t *testing.T) {
	t.Parallel()
	d := start(t)
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("c%d", i)
	}
	event := func(channel string) string {
		return `{"name":"e","channel":"` + channel + `","data":"{}"}`
	}
	tests := map[string]struct{ path, body, answer, got string }{
		"one channel":      {eventsPath, event("jobs"), `{}`, `{}`},
		"channels":         {eventsPath, `{"name":"e","channels":["a","jobs","b"],"data":"{}"}`, `{}`, `{}`},
		"twice":            {eventsPath, `{"name":"e","channels":["jobs","jobs","a","jobs"],"data":"{}"}`, `{}`, `{}`},
		"100 channels":     {eventsPath, `{"name":"e","channels":` + string(mustJSON(t, append(many[1:], "jobs"))) + `,"data":"{}"}`, `{}`, `{}`},
		"data not JSON":    {eventsPath, `{"name":"e","channel":"jobs","data":"plain \u00e9\ud83d\ude80 \"text\""}`, `{}`, `plain é🚀 "text"`},
		"empty data":       {eventsPath, `{"name":"e","channel":"jobs","data":""}`, `{}`, ``},
		"null socket_id":   {eventsPath, `{"name":"e","channel":"jobs","data":"{}","socket_id":null}`, `{}`, `{}`},
		"info":             {eventsPath, `{"name":"e","channel":"jobs","data":"{}","info":"user_count"}`, `{"channels":{"jobs":{}}}`, `{}`},
		"spaces":           {eventsPath, " {\n \"name\" : \"e\", \"channel\": \"jobs\", \"data\" : \"{}\" } \n", `{}`, `{}`},
		"user's channel":   {eventsPath, `{"name":"e","channels":["#server-to-user-7","jobs"],"data":"{}"}`, `{}`, `{}`},
		"batch":            {batchPath, `{"batch":[` + event("a") + `,` + event("jobs") + `]}`, `{}`, `{}`},
		"batch of 10":      {batchPath, `{"batch":[` + strings.Repeat(event("a")+`,`, 9) + event("jobs") + `]}`, `{}`, `{}`},
		"control in names": {eventsPath, `{"name":"e","channel":"jobs","data":"\u0000\u001f\u2028\/"}`, `{}`, "\x00\x1f\u2028/"},
	}
	c := d.connect(t)
	c.subscribe("jobs")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.t = t
			got := d.post(t, test.path, []byte(test.body))
			if got.status != http.StatusOK || got.body != test.answer || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("answer: %d %q %v, want 200 %q and JSON", got.status, got.body, got.header, test.answer)
			}
			c.wantEvent("jobs", "e", test.got)
			c.fence() // once
		})
	}
}

// TestAPIRefuses demands that of a refused request nothing is delivered.
func TestAPIRefuses(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		c.App.MaxEventSize = 1000
		c.MaxRequestSize = 20_000
	})
	names := func(n int) string { return strings.Repeat(`"jobs",`, n-1) + `"jobs"` }
	const good = `{"name":"e","channel":"jobs","data":"{}"}`
	batch := func(second string) string { return `{"batch":[` + good + `,` + second + `]}` }
	tests := map[string]struct {
		path, body string
		status     int
		text       string // of the error
	}{
		"no body":             {eventsPath, ``, 400, "JSON"},
		"not JSON":            {eventsPath, `{"name":`, 400, "JSON"},
		"two objects":         {eventsPath, good + good, 400, "JSON"},
		"list":                {eventsPath, `[` + good + `]`, 400, "the body is a JSON array, not an object"},
		"null":                {eventsPath, `null`, 400, "name"},
		"empty":               {eventsPath, `{}`, 400, "name"},
		"invalid UTF-8":       {eventsPath, "{\"name\":\"e\",\"channel\":\"jobs\",\"data\":\"\xff\"}", 400, "UTF-8"},
		"deep":                {eventsPath, strings.Repeat(`{"x":`, 2000), 400, "JSON"},
		"no name":             {eventsPath, `{"channel":"jobs","data":"{}"}`, 400, "name"},
		"name empty":          {eventsPath, `{"name":"","channel":"jobs","data":"{}"}`, 400, "name"},
		"name null":           {eventsPath, `{"name":null,"channel":"jobs","data":"{}"}`, 400, "name"},
		"name a number":       {eventsPath, `{"name":1,"channel":"jobs","data":"{}"}`, 400, "name is a JSON number, not a string"},
		"name too long":       {eventsPath, `{"name":"` + strings.Repeat("n", 201) + `","channel":"jobs","data":"{}"}`, 400, "200"},
		"no data":             {eventsPath, `{"name":"e","channel":"jobs"}`, 400, "data"},
		"data null":           {eventsPath, `{"name":"e","channel":"jobs","data":null}`, 400, "data"},
		"data an object":      {eventsPath, `{"name":"e","channel":"jobs","data":{}}`, 400, "data"},
		"data a number":       {eventsPath, `{"name":"e","channel":"jobs","data":1}`, 400, "data"},
		"no channel":          {eventsPath, `{"name":"e","data":"{}"}`, 400, "channel"},
		"channels empty":      {eventsPath, `{"name":"e","channels":[],"data":"{}"}`, 400, "channel"},
		"channel a list":      {eventsPath, `{"name":"e","channel":["jobs"],"data":"{}"}`, 400, "channel is a JSON array, not a string"},
		"channels a string":   {eventsPath, `{"name":"e","channels":"jobs","data":"{}"}`, 400, "channels is a JSON string, not an array"},
		"channel invalid":     {eventsPath, `{"name":"e","channel":"a b","data":"{}"}`, 400, "channel"},
		"last invalid":        {eventsPath, `{"name":"e","channels":["jobs",""],"data":"{}"}`, 400, "channel"},
		"channel too long":    {eventsPath, `{"name":"e","channels":["jobs","` + strings.Repeat("n", protocol.MaxChannelName+1) + `"],"data":"{}"}`, 400, "200"},
		"101 channels":        {eventsPath, `{"name":"e","channels":[` + names(101) + `],"data":"{}"}`, 400, "100"},
		"socket_id malformed": {eventsPath, `{"name":"e","channel":"jobs","data":"{}","socket_id":"abc"}`, 400, "socket_id"},
		"socket_id a number":  {eventsPath, `{"name":"e","channel":"jobs","data":"{}","socket_id":1.2}`, 400, "socket_id"},
		"data too large":      {eventsPath, `{"name":"e","channel":"jobs","data":"` + strings.Repeat("x", 1001) + `"}`, 413, "max_event_size"},
		"body too large":      {eventsPath, `{"name":"e","channel":"jobs","data":"` + strings.Repeat("x", 20_000) + `"}`, 413, "max_request_size"},

		"no batch":             {batchPath, `{}`, 400, "batch"},
		"batch null":           {batchPath, `{"batch":null}`, 400, "batch"},
		"batch an object":      {batchPath, `{"batch":{}}`, 400, "batch"},
		"an event not object":  {batchPath, batch(`"e"`), 400, "batch"},
		"batch of 11":          {batchPath, `{"batch":[` + strings.Repeat(good+`,`, 10) + good + `]}`, 400, "10"},
		"second without name":  {batchPath, batch(`{"channel":"a","data":"{}"}`), 400, "batch[1]"},
		"second bad channel":   {batchPath, batch(`{"name":"e","channel":"a b","data":"{}"}`), 400, "batch[1]"},
		"second with channels": {batchPath, batch(`{"name":"e","channels":["a"],"data":"{}"}`), 400, "batch[1]"},
		"second bad socket_id": {batchPath, batch(`{"name":"e","channel":"a","data":"{}","socket_id":"1"}`), 400, "batch[1]"},
		"second too large":     {batchPath, batch(`{"name":"e","channel":"a","data":"` + strings.Repeat("x", 1001) + `"}`), 413, "batch[1]"},

		"unknown app":           {"/apps/other/events", good, 404, "app"},
		"unknown app's batch":   {"/apps/app-key/batch_events", `{"batch":[]}`, 404, "app"},
		"unknown path":          {"/apps/app-id/event", good, 404, ""},
		"path with a slash":     {"/apps/app-id/events/", good, 404, ""},
		"path in another case":  {"/Apps/app-id/events", good, 404, ""},
		"path past the routes":  {"/apps/app-id/events/more", good, 404, ""},
		"nothing at the prefix": {"/", good, 404, ""},
	}
	c := d.connect(t)
	c.subscribe("jobs")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.t = t
			got := d.post(t, test.path, []byte(test.body))
			wantErrorLine(t, got, test.status)
			if !strings.Contains(got.body, test.text) {
				t.Errorf("error %s does not tell of %q", got.body, test.text)
			}
			c.fence()
		})
	}
}

func TestAPISignature(t *testing.T) {
	t.Parallel()
	d := start(t)
	body := []byte(`{"name":"e","channel":"jobs","data":"{}"}`)
	sign := func(method, path string, body []byte, key, secret string, age time.Duration) string {
		return auth.SignRequest(method, path, nil, body, key, secret, time.Now().Add(-age))
	}
	good := sign("POST", eventsPath, body, appKey, appSecret, 0)
	without := func(name string) string {
		v, err := url.ParseQuery(good)
		if err != nil {
			t.Fatal(err)
		}
		v.Del(name)
		return v.Encode()
	}
	queries := map[string]string{
		"unsigned":       "",
		"no signature":   without("auth_signature"),
		"no key":         without("auth_key"),
		"no timestamp":   without("auth_timestamp"),
		"no version":     without("auth_version"),
		"no md5":         without("body_md5"),
		"other key":      sign("POST", eventsPath, body, "other", appSecret, 0),
		"other secret":   sign("POST", eventsPath, body, appKey, "other", 0),
		"other method":   sign("PUT", eventsPath, body, appKey, appSecret, 0),
		"other path":     sign("POST", batchPath, body, appKey, appSecret, 0),
		"other body":     sign("POST", eventsPath, []byte(`{}`), appKey, appSecret, 0),
		"no body signed": sign("POST", eventsPath, nil, appKey, appSecret, 0),
		"too old":        sign("POST", eventsPath, body, appKey, appSecret, auth.MaxClockSkew+time.Minute),
		"of the future":  sign("POST", eventsPath, body, appKey, appSecret, -auth.MaxClockSkew-time.Minute),
		"more unsigned":  good + "&info=user_count",
		"key twice":      good + "&auth_key=" + appKey,
		"bad escape":     good + "&a=%zz",
		"old but fine":   sign("POST", eventsPath, body, appKey, appSecret, auth.MaxClockSkew-time.Minute),
	}
	c := d.connect(t)
	c.subscribe("jobs")
	for name, query := range queries {
		t.Run(name, func(t *testing.T) {
			c.t = t
			got := d.do(t, http.MethodPost, eventsPath+"?"+query, body, nil)
			if name == "old but fine" {
				if got.status != http.StatusOK {
					t.Errorf("%d %s", got.status, got.body)
				}
				c.wantEvent("jobs", "e", "{}")
				return
			}
			wantErrorLine(t, got, http.StatusUnauthorized)
			c.fence()
		})
	}
}

// TestAPIKeepAlive sends requests one after the other on a connection,
// refused ones among them.
func TestAPIKeepAlive(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.dial(t)
	for i, body := range []string{`{"name":"e","channel":"jobs","data":"{}"}`, `{}`, `{"name":"e","channel":"jobs","data":"{}"}`} {
		query := auth.SignRequest("POST", eventsPath, nil, []byte(body), appKey, appSecret, time.Now())
		c.write(fmt.Appendf(nil, "POST %s?%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", eventsPath, query, len(body), body))
		res := c.response()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		if want := []int{200, 400, 200}[i]; res.StatusCode != want || res.Close {
			t.Fatalf("request %d: %s, want %d; close %v", i, res.Status, want, res.Close)
		}
	}
}
