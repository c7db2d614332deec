package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/protocol"
)

// TestCacheChannel: what newcomers get is the API's last event, whoever was
// excluded from it, and no client's.
func TestCacheChannel(t *testing.T) {
	t.Parallel()
	const channel = "private-cache-job.42"
	d := start(t)
	author := d.connect(t)
	author.send(author.subscription(channel, ""))
	author.want(`{"event":"pusher_internal:subscription_succeeded","channel":"private-cache-job.42","data":"{}"}`)
	author.want(`{"event":"pusher:cache_miss","channel":"private-cache-job.42"}`)
	author.send(author.subscription(channel, "")) // a second time: answered without the event
	author.want(`{"event":"pusher_internal:subscription_succeeded","channel":"private-cache-job.42","data":"{}"}`)

	body := fmt.Sprintf(`{"name":"price","channel":%q,"data":"7","socket_id":%q}`, channel, author.id)
	if got := d.post(t, eventsPath, []byte(body)); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	author.send(`{"event":"client-t","channel":"private-cache-job.42","data":1}`)
	author.fence()
	author.unsubscribe(channel)
	for _, c := range []*client{author, d.connect(t)} {
		c.send(c.subscription(channel, ""))
		if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" {
			t.Fatalf("%+v", m)
		}
		c.wantEvent(channel, "price", "7")
		c.fence()
	}
}

// TestSubscriptionCountEvents: in channels without members only, and only if
// switched on.
func TestSubscriptionCountEvents(t *testing.T) {
	t.Parallel()
	count := func(n int) string {
		return fmt.Sprintf(`{"event":"pusher_internal:subscription_count","channel":"jobs","data":"{\"subscription_count\":%d}"}`, n)
	}
	d := start(t, func(c *config.Config) { c.App.SubscriptionCount = true })
	first, second := d.connect(t), d.connect(t)
	first.subscribe("jobs")
	first.want(count(1))
	second.subscribe("jobs")
	second.want(count(2))
	first.want(count(2))
	_ = second.nc.Close()
	first.want(count(1))
	first.subscribe("presence-room")
	first.fence()
}

// TestPresenceLimits: members, user_info and user_id.
func TestPresenceLimits(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxPresenceMembers, c.App.MaxUserInfo = 2, 100 })
	ann := d.connect(t)
	ann.subscribe("presence-full")
	d.connect(t).join("presence-full", "u2")
	ann.next() // member_added
	for name, test := range map[string]struct {
		channel, data, kind string
		status              int // of the refusal; 0: joined
	}{
		"a third member":       {"presence-full", `{"user_id":"u3"}`, "LimitReached", 403},
		"a member's next":      {"presence-full", `{"user_id":"u2"}`, "", 0},
		"info of the limit":    {"presence-a", `{"user_id":"1","user_info":"` + strings.Repeat("x", 98) + `"}`, "", 0},
		"info over the limit":  {"presence-b", `{"user_id":"1","user_info":"` + strings.Repeat("x", 99) + `"}`, "AuthError", 400},
		"an id of the limit":   {"presence-c", `{"user_id":"` + strings.Repeat("é", protocol.MaxUserID) + `"}`, "", 0},
		"an id over the limit": {"presence-d", `{"user_id":"` + strings.Repeat("u", protocol.MaxUserID+1) + `"}`, "AuthError", 400},
	} {
		t.Run(name, func(t *testing.T) {
			c := d.connect(t)
			c.send(string(mustJSON(t, map[string]any{"event": "pusher:subscribe", "data": map[string]string{
				"channel": test.channel, "channel_data": test.data,
				"auth": auth.SignChannel(appKey, appSecret, c.id, test.channel, test.data),
			}})))
			if test.status != 0 {
				c.wantRefused(test.channel, test.kind, test.status)
				c.fence()
				return
			}
			if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" {
				t.Errorf("%s %s", m.Event, m.Data)
			}
		})
	}
	ann.fence()
}

// TestClientEventRate sends more than a connection may: what is over the limit
// is answered by errors and reaches nobody.
func TestClientEventRate(t *testing.T) {
	t.Parallel()
	const (
		channel = "private-a"
		sent    = 50
	)
	d := start(t, func(c *config.Config) { c.App.MaxClientEvents = 2 })
	sender, listener := d.connect(t), d.connect(t)
	sender.subscribe(channel)
	listener.subscribe(channel)
	sender.write(append(bytes.Repeat(text(`{"event":"client-t","channel":"private-a","data":1}`), sent),
		text(`{"event":"pusher:ping"}`)...))
	refused := 0
	for m := sender.next(); m.Event != "pusher:pong"; m = sender.next() {
		var data struct{ Code int }
		if err := json.Unmarshal(m.Data, &data); err != nil || m.Event != "pusher:error" || data.Code != 4301 {
			t.Fatalf("%s %s (%v), want error 4301", m.Event, m.Data, err)
		}
		refused++
	}
	d.publish(t, channel, "end", "{}")
	delivered := 0
	for m := listener.next(); m.Event != "end"; m = listener.next() {
		delivered++
	}
	// Two at once, and as many in each second that the test has taken.
	if refused == 0 || delivered < 2 || delivered+refused != sent {
		t.Errorf("of %d client events %d were delivered and %d refused", sent, delivered, refused)
	}
	sender.next() // the end
	listener.send(`{"event":"client-t","channel":"private-a","data":2}`)
	sender.want(`{"event":"client-t","channel":"private-a","data":2}`) // the limit is each connection's own
}

// TestEncryptedChannels passes on what it is given, and counts what nobody
// will be able to read.
func TestEncryptedChannels(t *testing.T) {
	t.Parallel()
	const (
		channel = "private-encrypted-job.42"
		sealed  = `{"nonce":"bm9uY2U=","ciphertext":"Y2lwaGVydGV4dA=="}`
		counter = `broadcastd_plain_events_total{app="app-id",source="http"}`
	)
	d := start(t)
	c := d.connect(t)
	c.subscribe(channel)
	for i, data := range []string{sealed, `{"id":1}`} {
		d.publish(t, channel, "e", data)
		c.wantEvent(channel, "e", data)
		if got := d.metric(t, counter); got != float64(i) {
			t.Errorf("after %s, %v readable events are counted, want %d", data, got, i)
		}
	}
}
