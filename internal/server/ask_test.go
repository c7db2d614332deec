package server_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"broadcastd/internal/config"
)

const (
	private   = "private-user.7"
	succeeded = `{"event":"pusher_internal:subscription_succeeded","channel":"private-user.7","data":"{}"}`
)

// subscribeUnsigned asks to join without a signature.
func (c *client) subscribeUnsigned(channel string) {
	c.t.Helper()
	c.send(`{"event":"pusher:subscribe","data":{"channel":"` + channel + `"}}`)
}

func TestAsk(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, func(c *config.Config) {
		named := c.App
		named.ID, named.Key = "named", "named-key"
		named.AllowedOrigins = []string{"example.com"}
		c.Apps = []config.App{named}
	})
	const namedTarget = "/app/named-key?protocol=7"
	tests := map[string]struct {
		target string
		header []string
		status int // of the refusal; 0: joined
	}{
		"Authorization":          {appTarget, []string{"Authorization: Bearer " + token}, 0},
		"token in the query":     {appTarget + "&token=" + token, nil, 0},
		"header before token":    {appTarget + "&token=other", []string{"Authorization: Bearer " + token}, 0},
		"cookie, named origin":   {namedTarget, []string{"Cookie: session=" + token, "Origin: https://example.com"}, 0},
		"cookie, any origin":     {appTarget, []string{"Cookie: session=" + token, "Origin: https://evil.test"}, 401},
		"cookie, no origin":      {appTarget, []string{"Cookie: session=" + token}, 401},
		"nothing":                {appTarget, nil, 401},
		"other token":            {appTarget + "&token=other", nil, 401},
		"empty token":            {appTarget + "&token=", nil, 401},
		"token with a line feed": {appTarget + "&token=a%0d%0aCookie:%20session=" + token, nil, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := d.open(t, test.target, test.header...)
			c.wantEstablished()
			c.subscribeUnsigned(private)
			if test.status != 0 {
				c.wantRefused(private, "AuthError", test.status)
				c.fence()
				return
			}
			c.want(succeeded)
			c.subscribeUnsigned(private) // a second time: answered without asking
			c.want(succeeded)
			c.subscribeUnsigned("presence-room.5")
			if got, want := c.wantRoster("presence-room.5"), (map[string]string{"7": "Ann"}); !reflect.DeepEqual(got, want) {
				t.Errorf("roster is %v, want %v", got, want)
			}
			c.subscribeUnsigned("private-user.8")
			c.wantRefused("private-user.8", "AuthError", 403)
			c.subscribeUnsigned("private-broken")
			c.wantRefused("private-broken", "AuthError", 500)
			c.subscribeUnsigned("private-encrypted-a") // its key comes with a signature only
			c.wantRefused("private-encrypted-a", "AuthError", 401)
			c.subscribeUnsigned("private-a b")
			c.wantRefused("private-a b", "InvalidError", 400)
			c.fence()
		})
	}
}

// TestAskSees tells what of a handshake the API gets to see.
func TestAskSees(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure)
	c := d.connect(t, "Authorization: Bearer "+token, "Cookie: session=x", "X-CSRF-TOKEN: csrf", "Accept-Language: de", "X-Forwarded-For: 1.2.3.4", "X-Other: y")
	c.subscribeUnsigned(private)
	c.want(succeeded)
	call := a.called()[0]
	for name, want := range map[string]string{
		"Authorization": "Bearer " + token, "X-Csrf-Token": "csrf", "Accept-Language": "de",
		"Cookie": "", "X-Forwarded-For": "", "X-Other": "", "Sec-Websocket-Key": "",
	} {
		if got := call.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := call.PostForm.Encode(); got != "channel_name=private-user.7&socket_id="+c.id.String() {
		t.Errorf("the API was asked %s", got)
	}
}

// pending starts a daemon whose API keeps its answers back, and a client that
// waits for one.
func pending(t *testing.T) (*daemon, *api, *client) {
	t.Helper()
	a := startAPI(t)
	a.hold = make(chan struct{})
	d := start(t, a.configure, func(c *config.Config) { c.Auth.Timeout = time.Hour })
	c := d.connect(t, "Authorization: Bearer "+token)
	c.subscribeUnsigned(private)
	a.waitCalls(t, 1)
	return d, a, c
}

func TestAskPending(t *testing.T) {
	t.Parallel()
	d, a, c := pending(t)
	d.publish(t, private, "too-early", "{}")
	c.subscribeUnsigned(private) // will be answered once
	c.subscribe("jobs")
	d.publish(t, "jobs", "e", "{}")
	c.wantEvent("jobs", "e", "{}")
	c.send(`{"event":"client-t","channel":"private-user.7","data":1}`)
	c.wantError(4009)
	c.fence()

	close(a.hold)
	c.want(succeeded)
	d.publish(t, private, "in-time", "{}")
	c.wantEvent(private, "in-time", "{}")
	c.fence()
	if n := len(a.called()); n != 1 {
		t.Errorf("the API was asked %d times, want once", n)
	}
}

func TestAskLeft(t *testing.T) {
	t.Parallel()
	d, a, c := pending(t)
	c.unsubscribe(private)
	a.waitGone(t)
	c.fence()
	d.publish(t, private, "e", "{}")
	c.fence()

	// Coming back asks anew.
	c.subscribeUnsigned(private)
	a.waitCalls(t, 2)
	close(a.hold)
	c.want(succeeded)
	c.unsubscribe(private)
	c.fence()
	d.waitMetric(t, `broadcastd_subscriptions{app="app-id",kind="private"}`, 0)
}

// TestAskSigned brings a signature for a channel that the API is asked about.
func TestAskSigned(t *testing.T) {
	t.Parallel()
	d, a, c := pending(t)
	c.subscribe(private)
	a.waitGone(t)
	close(a.hold)
	d.publish(t, private, "e", "{}")
	c.wantEvent(private, "e", "{}")
	c.fence()
	c.unsubscribe(private)
	c.fence()
	d.waitMetric(t, `broadcastd_subscriptions{app="app-id",kind="private"}`, 0)
}

func TestAskGone(t *testing.T) {
	t.Parallel()
	d, a, c := pending(t)
	_ = c.nc.Close()
	a.waitGone(t)
	d.waitMetric(t, `broadcastd_connections{app="app-id"}`, 0)
	d.waitMetric(t, `broadcastd_auth_requests_in_flight`, 0)
	if got := d.metric(t, `broadcastd_subscriptions{app="app-id",kind="private"}`); got != 0 {
		t.Errorf("%v subscriptions are left", got)
	}
}

func TestAskShutdown(t *testing.T) {
	t.Parallel()
	d, a, c := pending(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop(ctx) }()
	a.waitGone(t)
	c.wantClose(4200) // and no refusal before it: the client comes back and asks again
	_ = c.nc.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestDebugMasks shows messages, but no signatures and tokens.
func TestDebugMasks(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure, func(c *config.Config) { c.Debug = true })
	c := d.open(t, appTarget+"&token="+token)
	c.wantEstablished()
	c.subscribeUnsigned(private)
	c.want(succeeded)
	c.subscribe("private-a")
	d.do(t, "POST", authPath, []byte("channel_name=private-user.7&socket_id="+c.id.String()), bearer(formType))
	d.publish(t, "private-a", "order.shipped", "{}")
	c.wantEvent("private-a", "order.shipped", "{}")

	log := d.log.String()
	for _, shown := range []string{"pusher:subscribe", "subscription_succeeded", "order.shipped", "private-a"} {
		if !strings.Contains(log, shown) {
			t.Errorf("the log lacks %q", shown)
		}
	}
	if signature := appKey + ":"; strings.Contains(log, signature) {
		t.Errorf("the log has a signature in it:\n%s", log)
	}
}
