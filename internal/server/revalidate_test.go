package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/config"
)

// again has the API asked again as often as may be.
func again(c *config.Config) { c.Auth.Revalidate = time.Second }

const room = "presence-room.5"

// ask has the daemon sign a subscription, and returns the answer and the
// pusher:subscribe that is made of it.
func (c *client) ask(d *daemon, channel string) (got reply, subscribe string) {
	c.t.Helper()
	form := url.Values{"socket_id": {c.id.String()}, "channel_name": {channel}}.Encode()
	got = d.do(c.t, http.MethodPost, authPath, []byte(form), bearer(formType))
	data := map[string]string{}
	if err := json.Unmarshal([]byte(got.body), &data); err != nil {
		c.t.Fatal(err)
	}
	data["channel"] = channel
	return got, string(mustJSON(c.t, map[string]any{"event": "pusher:subscribe", "data": data}))
}

// granted makes a client that the API let into a channel, by way of the daemon.
var granted = map[string]func(*testing.T, *daemon, string) *client{
	"at the endpoint": func(t *testing.T, d *daemon, channel string) *client {
		t.Helper()
		c := d.connect(t)
		_, subscribe := c.ask(d, channel)
		c.send(subscribe)
		return c
	},
	"by the handshake": func(t *testing.T, d *daemon, channel string) *client {
		t.Helper()
		c := d.connect(t, "Authorization: Bearer "+token)
		c.subscribeUnsigned(channel)
		return c
	},
}

func revalidations(result string) string {
	return `broadcastd_auth_revalidations_total{result="` + result + `"}`
}

// TestRevalidateEnds: what the API refuses now ends, for the client and for others.
func TestRevalidateEnds(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		verdict verdict
		status  int
	}{
		"403":            {verdict{403, "{}"}, 403},
		"401":            {verdict{401, "{}"}, 401},
		"false":          {verdict{200, "false"}, 403},
		"another-member": {verdict{200, `{"channel_data":{"user_id":8}}`}, 403},
	}
	a := startAPI(t)
	d := start(t, a.configure, again)
	before, after := map[string]verdict{}, map[string]verdict{}
	channel := func(way, what string) string { return strings.ReplaceAll("presence-"+way+"-"+what, " ", "-") }
	for way := range granted {
		for what, test := range cases {
			before[channel(way, what)], after[channel(way, what)] = verdict{200, `{"channel_data":{"user_id":7}}`}, test.verdict
		}
	}
	a.says.Store(&before)
	clients, others := map[string]*client{}, map[string]*client{}
	for name := range before {
		for way, join := range granted {
			if strings.HasPrefix(name, channel(way, "")) {
				clients[name] = join(t, d, name)
			}
		}
		clients[name].wantRoster(name)
		others[name] = d.connect(t)
		others[name].joinAs(name, "u1") // signed by the app's back end
		clients[name].next()            // member_added
	}
	a.says.Store(&after)
	for way := range granted {
		for what, test := range cases {
			name := channel(way, what)
			c, other := clients[name], others[name]
			c.wantRefused(name, "AuthError", test.status)
			if m := other.next(); m.Event != "pusher_internal:member_removed" || !strings.Contains(m.text(t), `"7"`) {
				t.Errorf("%s: the other member heard %s %s", name, m.Event, m.Data)
			}
			d.publish(t, name, "e", "{}")
			other.wantEvent(name, "e", "{}")
			c.send(`{"event":"client-t","channel":"` + name + `","data":1}`)
			c.wantError(4009)
			c.fence()
			other.fence()
		}
	}
	if got := d.metric(t, revalidations("ended")); got != float64(len(before)) {
		t.Errorf("%v subscriptions counted as ended, want %d", got, len(before))
	}
	if got := d.metric(t, "broadcastd_auth_revalidated_subscriptions"); got != 0 {
		t.Errorf("%v subscriptions are still asked about", got)
	}
}

// TestRevalidateSignature: a signature is worth nothing once its right has ended,
// until the API grants it again.
func TestRevalidateSignature(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, again)
	c := d.connect(t)
	_, subscribe := c.ask(d, private)
	c.send(subscribe)
	c.want(succeeded)
	a.says.Store(&map[string]verdict{})
	c.wantRefused(private, "AuthError", 403)
	for range 2 {
		c.send(subscribe)
		c.wantRefused(private, "AuthError", 403)
	}
	if got, _ := c.ask(d, private); got.status != 403 {
		t.Errorf("the endpoint answers %d", got.status)
	}
	a.says.Store(nil)
	_, subscribe = c.ask(d, private)
	c.send(subscribe)
	c.want(succeeded)
	d.publish(t, private, "e", "{}")
	c.wantEvent(private, "e", "{}")
}

// TestRevalidateFailsOpen: an API that doesn't say no takes nothing away.
func TestRevalidateFailsOpen(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, again, func(c *config.Config) { c.Auth.Timeout = 500 * time.Millisecond })
	before := map[string]verdict{}
	after := map[string]verdict{
		"private-broken": {500, ""}, "private-throttled": {429, ""}, "private-redirects": {302, ""},
		"private-not-found": {404, ""}, "private-expired": {419, ""}, "private-nonsense": {200, "<html>"},
	}
	for name := range after {
		before[name] = verdict{200, "true"}
	}
	a.says.Store(&before)
	clients := map[string][]*client{}
	for name := range after {
		for _, join := range granted {
			c := join(t, d, name)
			c.next()
			clients[name] = append(clients[name], c)
		}
	}
	stay := func() {
		t.Helper()
		for name, both := range clients {
			d.publish(t, name, "e", "{}")
			for _, c := range both {
				c.wantEvent(name, "e", "{}")
				c.fence()
			}
		}
	}
	a.says.Store(&after)
	waitAtLeast(t, d, revalidations("unsure"), float64(2*len(after)))
	stay()
	release := a.mute(t)
	waitAtLeast(t, d, `broadcastd_auth_requests_total{kind="channel",result="timeout"}`, 1)
	stay()
	release()
	a.says.Store(&map[string]verdict{}) // it is asked on, and heard
	for name, both := range clients {
		for _, c := range both {
			c.wantRefused(name, "AuthError", 403)
		}
	}
}

func waitAtLeast(t *testing.T, d *daemon, line string, least float64) {
	t.Helper()
	eventually(t, func() bool { return d.metric(t, line) >= least }, func() string { return fmt.Sprintf("%s is %v", line, d.metric(t, line)) })
}

// TestRevalidateKeeps: a yes changes nothing, and is asked for on and on.
func TestRevalidateKeeps(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, again, func(c *config.Config) { c.Auth.Cache = time.Minute }) // no cache answers it
	c := granted["at the endpoint"](t, d, room)
	c.wantRoster(room)
	waitAtLeast(t, d, revalidations("kept"), 2)
	for i, call := range a.called() {
		if call.Header.Get("Authorization") != "Bearer "+token || call.PostForm.Get("socket_id") != c.id.String() || call.PostForm.Get("channel_name") != room {
			t.Errorf("call %d: %v %v", i+1, call.Header, call.PostForm)
		}
	}
	if n := len(a.called()); n < 3 {
		t.Errorf("%d calls, want 3 at least", n)
	}
}

// TestRevalidateForgets: who left a channel, or is gone, is not waited for.
func TestRevalidateForgets(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, func(c *config.Config) { c.Auth.Revalidate = time.Hour })
	c := granted["at the endpoint"](t, d, room)
	c.wantRoster(room)
	other := granted["by the handshake"](t, d, private)
	other.want(succeeded)
	watched := "broadcastd_auth_revalidated_subscriptions"
	d.waitMetric(t, watched, 2)
	c.unsubscribe(room)
	c.fence()
	d.waitMetric(t, watched, 1)
	_ = other.nc.Close()
	d.waitMetric(t, watched, 0)
}

// TestRevalidateOnlyGrants: what the API did not grant by way of the daemon is
// not asked about, nor is anything as long as it isn't switched on.
func TestRevalidateOnlyGrants(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, again)
	c := d.connect(t, "Authorization: Bearer "+token)
	c.subscribe("jobs", private, room) // signed by the app's back end
	elsewhere := url.Values{"socket_id": {"123.456"}, "channel_name": {private}}.Encode()
	d.do(t, http.MethodPost, authPath, []byte(elsewhere), bearer(formType))
	for line, want := range map[string]float64{
		"broadcastd_auth_revalidated_subscriptions": 0, "broadcastd_auth_grants_elsewhere_total": 1,
	} {
		if got := d.metric(t, line); got != want {
			t.Errorf("%s is %v, want %v", line, got, want)
		}
	}
	off := start(t, a.configure)
	for _, join := range granted {
		c := join(t, off, private)
		c.want(succeeded)
	}
	if got := off.metric(t, "broadcastd_auth_revalidated_subscriptions"); got != 0 {
		t.Errorf("switched off, yet %v subscriptions are asked about", got)
	}
}

// TestRevalidateBounded: while hundreds of subscriptions are due and the API
// thinks, a part of its slots is taken, and clients who come get the others.
func TestRevalidateBounded(t *testing.T) {
	t.Parallel()
	const slots, subscriptions = 8, 300
	a := startAPI(t)
	yes := map[string]verdict{}
	for i := range subscriptions {
		yes[fmt.Sprintf("private-%d", i)] = verdict{200, "true"}
		yes[fmt.Sprintf("private-late.%d", i)] = verdict{200, "true"}
	}
	a.says.Store(&yes)
	d := start(t, a.configure, again, func(c *config.Config) { c.Auth.MaxConcurrent, c.Auth.Timeout = slots, time.Hour })
	c := d.connect(t)
	for i := range subscriptions {
		name := fmt.Sprintf("private-%d", i)
		_, subscribe := c.ask(d, name)
		c.send(subscribe)
		c.next()
	}
	release := a.mute(t)
	d.AllDue()
	d.waitMetric(t, "broadcastd_auth_revalidated_subscriptions", subscriptions-slots/4-1) // one more is at hand
	late := d.connect(t, "Authorization: Bearer "+token)
	for i := range slots - slots/4 {
		late.subscribeUnsigned(fmt.Sprintf("private-late.%d", i))
	}
	asked := 0
	eventually(t, func() bool {
		asked = 0
		for _, call := range a.called() {
			if strings.HasPrefix(call.PostForm.Get("channel_name"), "private-late.") {
				asked++
			}
		}
		return asked == slots-slots/4
	}, func() string { return fmt.Sprintf("the API is asked about %d of those who came late", asked) })
	release()
	for range slots - slots/4 {
		if m := late.next(); m.Event != "pusher_internal:subscription_succeeded" {
			t.Errorf("who came late heard %s %s", m.Event, m.Data)
		}
	}
	waitAtLeast(t, d, revalidations("kept"), subscriptions)
}

// TestCacheInServer: who comes back is signed for without a call, each connection
// with a signature of its own, for the handshake's headers and at the endpoint.
func TestCacheInServer(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, func(c *config.Config) { c.Auth.Cache = time.Minute })
	for range 5 {
		for _, channel := range []string{private, room} {
			c := d.connect(t)
			got, subscribe := c.ask(d, channel)
			var grant auth.Grant
			if err := json.Unmarshal([]byte(got.body), &grant); err != nil || got.status != 200 ||
				auth.VerifyChannel(grant.Auth, appKey, appSecret, c.id, channel, grant.ChannelData) != nil {
				t.Fatalf("signature for %s: %d %s", channel, got.status, got.body)
			}
			c.send(subscribe)
			if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" {
				t.Fatalf("subscribing: %s %s", m.Event, m.Data)
			}
			own := d.connect(t, "Authorization: Bearer "+token)
			own.subscribeUnsigned(channel)
			if m := own.next(); m.Event != "pusher_internal:subscription_succeeded" {
				t.Fatalf("subscribing: %s %s", m.Event, m.Data)
			}
		}
	}
	if n := len(a.called()); n != 2 {
		t.Errorf("%d calls for two channels of one client", n)
	}
	if got := d.metric(t, `broadcastd_auth_cache_total{result="hit"}`); got != 18 {
		t.Errorf("%v hits, want 18", got)
	}
}
