package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

func TestPing(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t)
	c.send(`{"event":"pusher:ping"}`)
	c.want(`{"event":"pusher:pong","data":{}}`)
	c.send(`{"event":"pusher:pong","data":{}}`) // unasked for: no answer
	c.fence()
	c.write(frame(fin|opPing, "are you there?"))
	if op, payload, err := c.read(); err != nil || op != opPong || string(payload) != "are you there?" {
		t.Fatalf("answer to a WebSocket ping: %#x %q, %v", op, payload, err)
	}
	c.write(frame(fin|opPong, "unasked for"))
	c.fence()
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, channel := range []string{
		"jobs", "jobs.discovery", "A-z_0=9@,.;", strings.Repeat("n", protocol.MaxChannelName), "cache-jobs", "presence", "private",
		"private-job.42", "private-encrypted-job.42", "private-cache-job.42", "private-encrypted-cache-job.42",
	} {
		t.Run(channel[:min(len(channel), 40)], func(t *testing.T) {
			t.Parallel()
			c := d.connect(t)
			succeeded := fmt.Sprintf(`{"event":"pusher_internal:subscription_succeeded","channel":%q,"data":"{}"}`, channel)

			d.publish(t, channel, "too-early", "{}")
			c.send(c.subscription(channel, ""))
			c.want(succeeded)
			if protocol.KindOf(channel).IsCache() {
				c.wantEvent(channel, "too-early", "{}")
			}
			d.publish(t, channel, "in-time", `{"a":"é \" \\ <>&"}`)
			c.wantEvent(channel, "in-time", `{"a":"é \" \\ <>&"}`)

			// A second time changes nothing, and is answered.
			c.send(c.subscription(channel, ""))
			c.want(succeeded)
			d.publish(t, channel, "once", "{}")
			c.wantEvent(channel, "once", "{}")

			c.unsubscribe(channel)
			c.fence()
			d.publish(t, channel, "too-late", "{}")
			c.fence()
			c.unsubscribe(channel) // not in it: no answer
			c.subscribe(channel)
			d.publish(t, channel, "again", "{}")
			c.wantEvent(channel, "again", "{}")
		})
	}
}

func TestSubscribeRefused(t *testing.T) {
	t.Parallel()
	d := start(t)
	tests := map[string]struct {
		channel, data string // data is further members of the subscribe
		kind          string
		status        int
	}{
		"space":             {channel: "a b", kind: "InvalidError", status: 400},
		"slash":             {channel: "a/b", kind: "InvalidError", status: 400},
		"not ASCII":         {channel: "jöbs", kind: "InvalidError", status: 400},
		"colon":             {channel: "private-a:b", kind: "InvalidError", status: 400},
		"newline":           {channel: "a\nb", kind: "InvalidError", status: 400},
		"hash":              {channel: "#jobs", kind: "InvalidError", status: 400},
		"too long":          {channel: strings.Repeat("n", protocol.MaxChannelName+1), kind: "InvalidError", status: 400},
		"auth not a string": {channel: "private-a", data: `,"auth":1`, kind: "InvalidError", status: 400},
		"data not a string": {channel: "presence-a", data: `,"channel_data":{"user_id":"1"}`, kind: "InvalidError", status: 400},
		"user's channel":    {channel: "#server-to-user-1", kind: "AuthError", status: 403},
		"user's, signed":    {channel: "#server-to-user-1", data: `,"auth":"app-key:00"`, kind: "AuthError", status: 403},
		"unsigned":          {channel: "private-a", kind: "AuthError", status: 401},
		"unsigned presence": {channel: "presence-a", kind: "AuthError", status: 401},
		"auth null":         {channel: "private-a", data: `,"auth":null`, kind: "AuthError", status: 401},
		"malformed":         {channel: "private-a", data: `,"auth":"nonsense"`, kind: "AuthError", status: 401},
		"no signature":      {channel: "private-a", data: `,"auth":"app-key:"`, kind: "AuthError", status: 401},
		"other key":         {channel: "private-a", data: `,"auth":"other:58df8b0c"`, kind: "AuthError", status: 401},
		"bad signature":     {channel: "private-a", data: `,"auth":"app-key:58df8b0c"`, kind: "AuthError", status: 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := d.connect(t)
			c.send(`{"event":"pusher:subscribe","data":{"channel":` + string(mustJSON(t, test.channel)) + test.data + `}}`)
			c.wantRefused(test.channel, test.kind, test.status)
			c.fence()
		})
	}
}

// TestForeignSignature brings sound signatures for something else.
func TestForeignSignature(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		other := c.App
		other.ID, other.Key, other.Secret = "other", "other-key", "other-secret"
		c.Apps = []config.App{other}
	})
	c, stranger := d.connect(t), d.connect(t)
	const member = `{"user_id":"1"}`
	tests := map[string]struct {
		channel, auth, member string
		status                int
	}{
		"other connection":    {"private-a", auth.SignChannel(appKey, appSecret, stranger.id, "private-a", ""), "", 401},
		"other channel":       {"private-a", auth.SignChannel(appKey, appSecret, c.id, "private-b", ""), "", 401},
		"other app":           {"private-a", auth.SignChannel("other-key", "other-secret", c.id, "private-a", ""), "", 401},
		"other app's secret":  {"private-a", auth.SignChannel(appKey, "other-secret", c.id, "private-a", ""), "", 401},
		"other member":        {"presence-a", auth.SignChannel(appKey, appSecret, c.id, "presence-a", `{"user_id":"2"}`), member, 401},
		"member not signed":   {"presence-a", auth.SignChannel(appKey, appSecret, c.id, "presence-a", ""), member, 401},
		"member not sent":     {"presence-a", auth.SignChannel(appKey, appSecret, c.id, "presence-a", member), "", 401},
		"no member":           {"presence-a", auth.SignChannel(appKey, appSecret, c.id, "presence-a", ""), "", 400},
		"member not JSON":     {"presence-a", auth.SignChannel(appKey, appSecret, c.id, "presence-a", "{"), "{", 400},
		"member without id":   {"presence-a", auth.SignChannel(appKey, appSecret, c.id, "presence-a", "{}"), "{}", 400},
		"a user's signature":  {"private-a", auth.SignUser(appKey, appSecret, c.id, member), "", 401},
		"signature repeated":  {"private-a", appKey + ":" + auth.SignChannel(appKey, appSecret, c.id, "private-a", ""), "", 401},
		"signature upper-cut": {"private-a", auth.SignChannel(appKey, appSecret, c.id, "private-a", "")[:40], "", 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.send(string(mustJSON(t, map[string]any{"event": "pusher:subscribe", "data": map[string]string{
				"channel": test.channel, "auth": test.auth, "channel_data": test.member,
			}})))
			c.wantRefused(test.channel, "AuthError", test.status)
		})
	}
	c.t = t
	d.publish(t, "private-a", "e", "{}")
	c.fence()
}

// TestApps has two apps with a channel of the same name.
func TestApps(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		other := c.App
		other.ID, other.Key, other.Secret = "other", "other-key", "other-secret"
		c.Apps = []config.App{other}
	})
	one, two := d.connect(t), d.open(t, "/app/other-key?protocol=7")
	two.wantEstablished()
	one.subscribe("jobs")
	two.subscribe("jobs")
	d.publish(t, "jobs", "e", "{}")
	one.wantEvent("jobs", "e", "{}")
	two.fence()
	if err := d.Publish("redis", "other", protocol.Event{Channel: "jobs", Name: "f", Data: json.RawMessage(`"{}"`)}); err != nil {
		t.Fatal(err)
	}
	two.wantEvent("jobs", "f", "{}")
	one.fence()
}
