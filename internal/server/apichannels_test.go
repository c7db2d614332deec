package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/config"
)

const appPath = "/apps/" + appID

// signed sends a signed request to the HTTP API. path is sent as it is.
func (d *daemon) signed(t testing.TB, method, path string, params map[string]string, body string) reply {
	t.Helper()
	query := auth.SignRequest(method, path, params, []byte(body), appKey, appSecret, time.Now())
	return d.do(t, method, path+"?"+query, []byte(body), nil)
}

func (d *daemon) get(t testing.TB, path string, params map[string]string) reply {
	t.Helper()
	return d.signed(t, http.MethodGet, path, params, "")
}

// join subscribes to a presence channel as a user.
func (c *client) join(channel, user string) {
	c.t.Helper()
	c.send(c.subscription(channel, user))
	for c.next().Event != "pusher_internal:subscription_succeeded" {
		// What was published to the channel before.
	}
}

// crowd fills channels: jobs has 2 connections, presence-room 3 of 2 users,
// cache-jobs none but an event, presence-cache-x one and an event.
func crowd(t testing.TB, change ...func(*config.Config)) *daemon {
	t.Helper()
	d := start(t, append([]func(*config.Config){func(c *config.Config) {
		c.App.CacheTTL, c.App.CacheSize = time.Hour, 1<<20
	}}, change...)...)
	a, b := d.connect(t), d.connect(t)
	a.subscribe("jobs", "private-job.42")
	b.subscribe("jobs")
	for _, member := range []struct {
		c    *client
		user string
	}{{a, "7"}, {b, "9"}, {d.connect(t), "7"}} {
		member.c.join("presence-room", member.user)
	}
	d.publish(t, "cache-jobs", "e", `{"id":1}`)
	d.publish(t, "presence-cache-x", "e", "")
	d.connect(t).join("presence-cache-x", "é 7")
	d.connect(t) // subscribes to nothing
	return d
}

// sameJSON compares two texts, members in any order.
func sameJSON(t testing.TB, got, want string) bool {
	t.Helper()
	var values [2]any
	for i, text := range []string{got, want} {
		if err := json.Unmarshal([]byte(text), &values[i]); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
	}
	return string(mustJSON(t, values[0])) == string(mustJSON(t, values[1]))
}

// ttl finds what is left of the hour that crowd's events are kept.
var ttl = regexp.MustCompile(`"ttl":3[56]\d\d`)

func TestAPIReads(t *testing.T) {
	t.Parallel()
	d := crowd(t)
	const (
		channels = "GET /apps/{app_id}/channels"
		channel  = channels + "/{channel_name}"
		users    = channel + "/users"
		presence = `"presence-room":{"user_count":2},"presence-cache-x":{"user_count":1}`
	)
	type params = map[string]string
	tests := map[string]struct {
		route, path string
		params      params
		want        string // of 200
		status      int
	}{
		"all":             {channels, "/channels", nil, `{"channels":{"jobs":{},"private-job.42":{},"presence-room":{},"presence-cache-x":{}}}`, 200},
		"prefix":          {channels, "/channels", params{"filter_by_prefix": "presence-"}, `{"channels":{"presence-room":{},"presence-cache-x":{}}}`, 200},
		"longer prefix":   {channels, "/channels", params{"filter_by_prefix": "presence-r", "info": "user_count"}, `{"channels":{"presence-room":{"user_count":2}}}`, 200},
		"whole name":      {channels, "/channels", params{"filter_by_prefix": "jobs"}, `{"channels":{"jobs":{}}}`, 200},
		"no such prefix":  {channels, "/channels", params{"filter_by_prefix": "x"}, `{"channels":{}}`, 200},
		"empty prefix":    {channels, "/channels", params{"filter_by_prefix": "", "info": ""}, `{"channels":{"jobs":{},"private-job.42":{},"presence-room":{},"presence-cache-x":{}}}`, 200},
		"user_count":      {channels, "/channels", params{"filter_by_prefix": "presence-", "info": "user_count"}, `{"channels":{` + presence + `}}`, 200},
		"both":            {channels, "/channels", params{"filter_by_prefix": "presence-room", "info": "subscription_count, user_count"}, `{"channels":{"presence-room":{"user_count":2,"subscription_count":3}}}`, 200},
		"counts":          {channels, "/channels", params{"info": "subscription_count"}, `{"channels":{"jobs":{"subscription_count":2},"private-job.42":{"subscription_count":1},"presence-room":{"subscription_count":3},"presence-cache-x":{"subscription_count":1}}}`, 200},
		"unknown info":    {channels, "/channels", params{"filter_by_prefix": "jobs", "info": "weather,,occupied"}, `{"channels":{"jobs":{}}}`, 200},
		"unknown param":   {channels, "/channels", params{"filter_by_prefix": "jobs", "weather": "1"}, `{"channels":{"jobs":{}}}`, 200},
		"users of all":    {channels, "/channels", params{"info": "user_count"}, "", 400},
		"users of jobs":   {channels, "/channels", params{"filter_by_prefix": "jobs", "info": "user_count"}, "", 400},
		"users, no dash":  {channels, "/channels", params{"filter_by_prefix": "presence", "info": "user_count"}, "", 400},
		"another's users": {channels, "/channels", params{"filter_by_prefix": "private-", "info": "subscription_count,user_count"}, "", 400},

		"channel":               {channel, "/channels/jobs", nil, `{"occupied":true}`, 200},
		"vacant":                {channel, "/channels/nobody", nil, `{"occupied":false}`, 200},
		"vacant, counted":       {channel, "/channels/presence-nobody", params{"info": "user_count,subscription_count"}, `{"occupied":false,"user_count":0,"subscription_count":0}`, 200},
		"subscriptions":         {channel, "/channels/jobs", params{"info": "subscription_count"}, `{"occupied":true,"subscription_count":2}`, 200},
		"members":               {channel, "/channels/presence-room", params{"info": "user_count,subscription_count"}, `{"occupied":true,"user_count":2,"subscription_count":3}`, 200},
		"cache, vacant":         {channel, "/channels/cache-jobs", params{"info": "cache"}, `{"occupied":false,"cache":{"data":"{\"id\":1}","ttl":3600}}`, 200},
		"cache of nothing yet":  {channel, "/channels/cache-nothing", params{"info": "cache,subscription_count"}, `{"occupied":false,"subscription_count":0}`, 200},
		"empty event":           {channel, "/channels/presence-cache-x", params{"info": "cache,user_count"}, `{"occupied":true,"user_count":1,"cache":{"data":"","ttl":3600}}`, 200},
		"escaped name":          {channel, "/channels/presence%2Droom", params{"info": "user_count"}, `{"occupied":true,"user_count":2}`, 200},
		"unknown info, channel": {channel, "/channels/jobs", params{"info": "weather"}, `{"occupied":true}`, 200},
		"users of a public":     {channel, "/channels/jobs", params{"info": "user_count"}, "", 400},
		"users of a private":    {channel, "/channels/private-job.42", params{"info": "subscription_count,user_count"}, "", 400},
		"cache of a public":     {channel, "/channels/jobs", params{"info": "cache"}, "", 400},
		"a slash in the name":   {channel, "/channels/a%2Fb", nil, "", 400},
		"a space in the name":   {channel, "/channels/a%20b", nil, "", 400},
		"not UTF-8":             {channel, "/channels/%FF", nil, "", 400},

		"users":            {users, "/channels/presence-cache-x/users", nil, `{"users":[{"id":"é 7"}]}`, 200},
		"no users":         {users, "/channels/presence-nobody/users", nil, `{"users":[]}`, 200},
		"users of jobs's":  {users, "/channels/jobs/users", nil, "", 400},
		"users, bad name":  {users, "/channels/presence-%20/users", nil, "", 400},
		"connections":      {"GET /apps/{app_id}/connections", "/connections", nil, `{"connections":5}`, 200},
		"connections, odd": {"GET /apps/{app_id}/connections", "/connections", params{"x": "a b&c"}, `{"connections":5}`, 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := d.get(t, appPath+test.path, test.params)
			wantDocumented(t, test.route, got)
			if test.status != http.StatusOK {
				wantErrorLine(t, got, test.status)
				return
			}
			got.body = ttl.ReplaceAllString(got.body, `"ttl":3600`)
			if got.status != http.StatusOK || !sameJSON(t, got.body, test.want) {
				t.Errorf("%d %s, want %s", got.status, got.body, test.want)
			}
		})
	}
	t.Run("both members", func(t *testing.T) {
		t.Parallel()
		got := d.get(t, appPath+"/channels/presence-room/users", nil)
		if !sameJSON(t, got.body, `{"users":[{"id":"7"},{"id":"9"}]}`) && !sameJSON(t, got.body, `{"users":[{"id":"9"},{"id":"7"}]}`) {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

// TestAPIReadsWhatWasSigned sends parameters that the signature does not cover
// as they are spelled.
func TestAPIReadsWhatWasSigned(t *testing.T) {
	t.Parallel()
	d := crowd(t)
	const path = appPath + "/channels"
	query := auth.SignRequest(http.MethodGet, path, map[string]string{"info": "user_count,subscription_count", "filter_by_prefix": "presence-r"}, nil, appKey, appSecret, time.Now())
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	values.Del("info")
	asPHP := values.Encode() + "&Info%5B0%5D=user_count&info[1]=subscription_count"
	if got := d.do(t, http.MethodGet, path+"?"+asPHP, nil, nil); !sameJSON(t, got.body, `{"channels":{"presence-room":{"user_count":2,"subscription_count":3}}}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	for name, more := range map[string]string{
		"another prefix":   "&filter_by_prefix=jobs",
		"in capitals":      "&Filter_By_Prefix=jobs",
		"as an array":      "&filter_by_prefix[]=jobs",
		"something more":   "&x=1",
		"a bare semicolon": ";x=1",
	} {
		got := d.do(t, http.MethodGet, path+"?"+query+more, nil, nil)
		wantErrorLine(t, got, http.StatusUnauthorized)
		if t.Failed() {
			t.Fatalf("with %s", name)
		}
	}
}
