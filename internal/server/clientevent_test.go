package server_test

import (
	"fmt"
	"strings"
	"testing"

	"broadcastd/internal/config"
	"broadcastd/protocol"
)

func TestClientEvents(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxEventSize = 1000 })
	whisper := func(channel, name, data string) string {
		return fmt.Sprintf(`{"event":%q,"channel":%q,"data":%s}`, name, channel, data)
	}
	sender, listener := d.connect(t), d.connect(t)
	for _, c := range []*client{sender, listener} {
		c.subscribe("jobs", "private-a", "private-cache-a", "private-encrypted-a", "presence-a", "cache-a")
	}
	delivered := map[string]struct{ sent, want string }{
		"object":    {whisper("private-a", "client-typing", `{"a": 1}`), `{"event":"client-typing","channel":"private-a","data":{"a": 1}}`},
		"string":    {whisper("private-a", "client-t", `"é\u2028"`), `{"event":"client-t","channel":"private-a","data":"é\u2028"}`},
		"null":      {whisper("private-a", "client-t", `null`), `{"event":"client-t","channel":"private-a","data":null}`},
		"no data":   {`{"event":"client-t","channel":"private-a"}`, `{"event":"client-t","channel":"private-a","data":null}`},
		"cache":     {whisper("private-cache-a", "client-t", `1`), `{"event":"client-t","channel":"private-cache-a","data":1}`},
		"presence":  {whisper("presence-a", "client-t", `[]`), `{"event":"client-t","channel":"presence-a","data":[],"user_id":"u1"}`},
		"forged id": {`{"event":"client-t","channel":"presence-a","data":1,"user_id":"boss"}`, `{"event":"client-t","channel":"presence-a","data":1,"user_id":"u1"}`},
		"deep":      {whisper("private-a", "client-t", strings.Repeat("[", 490)+strings.Repeat("]", 490)), `{"event":"client-t","channel":"private-a","data":` + strings.Repeat("[", 490) + strings.Repeat("]", 490) + `}`},
	}
	for name, test := range delivered {
		t.Run(name, func(t *testing.T) {
			sender.t, listener.t = t, t
			sender.send(test.sent)
			sender.fence() // no echo
			listener.want(test.want)
		})
	}
	refused := map[string]struct {
		sent string
		code int
	}{
		"public":        {whisper("jobs", "client-t", "1"), 4301},
		"public cache":  {whisper("cache-a", "client-t", "1"), 4301},
		"encrypted":     {whisper("private-encrypted-a", "client-t", "1"), 4301},
		"not joined":    {whisper("private-b", "client-t", "1"), 4009},
		"no channel":    {`{"event":"client-t","data":1}`, 4301},
		"user's":        {whisper("#server-to-user-1", "client-t", "1"), 4301},
		"too large":     {whisper("private-a", "client-t", `"`+strings.Repeat("x", 1000)+`"`), 4301},
		"name too long": {whisper("private-a", "client-"+strings.Repeat("n", protocol.MaxEventName), "1"), 4200},
		"no prefix":     {whisper("private-a", "typing", "1"), 4200},
		"internal":      {whisper("private-a", "pusher_internal:subscription_succeeded", "1"), 4200},
		"upper case":    {whisper("private-a", "CLIENT-t", "1"), 4200},
	}
	for name, test := range refused {
		t.Run(name, func(t *testing.T) {
			sender.t, listener.t = t, t
			sender.send(test.sent)
			sender.wantError(test.code)
			sender.fence()
			listener.fence()
		})
	}
}

func TestClientEventsFrom(t *testing.T) {
	t.Parallel()
	const whisper = `{"event":"client-t","channel":"jobs","data":1}`
	for _, mode := range []string{"all", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := start(t, func(c *config.Config) { c.App.AcceptClientEventsFrom = mode })
			sender, listener := d.connect(t), d.connect(t)
			listener.subscribe("jobs")
			sender.send(whisper)
			if mode == "all" {
				sender.wantError(4009) // of those in the channel, that is
				sender.subscribe("jobs")
				sender.send(whisper)
				listener.want(whisper)
				return
			}
			sender.wantError(4301)
			listener.fence()
		})
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	for _, terminate := range []bool{false, true} {
		t.Run(fmt.Sprint(terminate), func(t *testing.T) {
			t.Parallel()
			d := start(t, func(c *config.Config) {
				c.App.RateLimiting.Enabled = true
				c.App.RateLimiting.MaxAttempts = 3
				c.App.RateLimiting.TerminateOnLimit = terminate
			})
			c := d.connect(t)
			for range 3 {
				c.fence()
			}
			c.send(`{"event":"pusher:ping"}`)
			c.wantError(4301)
			if terminate {
				c.wantClose(4100)
				d.waitMetric(t, `broadcastd_disconnections_total{reason="rate_limit"}`, 1)
			}
			d.connect(t).fence() // the limit is each connection's own
		})
	}
}

// TestExclusion publishes with the socket id of a subscriber.
func TestExclusion(t *testing.T) {
	t.Parallel()
	d := start(t)
	author, other := d.connect(t), d.connect(t)
	author.subscribe("jobs")
	other.subscribe("jobs")
	for _, id := range []string{author.id.String(), "1.1", "0.0", "99999999999999999999.1", ""} {
		body := fmt.Sprintf(`{"name":"e","channel":"jobs","data":"%s","socket_id":%q}`, id, id)
		if got := d.post(t, "/apps/app-id/events", []byte(body)); got.status != 200 {
			t.Fatalf("%s: %d %s", id, got.status, got.body)
		}
		other.wantEvent("jobs", "e", id)
		if id != author.id.String() { // an id that nobody has excludes nobody
			author.wantEvent("jobs", "e", id)
		}
		author.fence()
	}
}
