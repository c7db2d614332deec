package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"broadcastd/internal/config"
)

// TestPathNotFound looks for the WebSocket where none is: a browser's client
// must hear why.
func TestPathNotFound(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.Path = "/ws" })
	for _, target := range []string{"", "/app", "/ws/app/" + appKey + "?protocol=7"} {
		c := d.open(t, target)
		c.wantError(4005)
		c.wantClose(4005)
	}
	if got := d.metric(t, `broadcastd_connections_refused_total{reason="path_not_found"}`); got != 3 {
		t.Errorf("%v refusals were counted, want 3", got)
	}
}

// TestAskingIsBounded keeps one connection from taking all places at the API.
func TestAskingIsBounded(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.hold = make(chan struct{})
	d := start(t, func(c *config.Config) { c.Auth.Endpoint = api.url })
	c := d.connect(t, "Authorization: Bearer "+token)
	ask := func(channel string) {
		c.send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q}}`, channel))
	}
	const most = 100
	for i := range most {
		ask(fmt.Sprint("private-", i))
	}
	ask("private-one-more")
	c.wantRefused("private-one-more", "LimitReached", http.StatusTooManyRequests)
	close(api.hold)
	for range most {
		if m := c.next(); m.Event != "pusher:subscription_error" {
			t.Fatalf("%s on %s, want the API's refusals", m.Event, m.Channel)
		}
	}
	ask("private-user.7")
	c.want(`{"event":"pusher_internal:subscription_succeeded","channel":"private-user.7","data":"{}"}`)
}

func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxSubscriptions = 2 })
	c := d.connect(t)
	c.subscribe("a", "private-b")
	c.send(c.subscription("c", ""))
	c.wantRefused("c", "LimitReached", http.StatusForbidden)
	c.send(c.subscription("a", "")) // again
	c.want(`{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}`)
	c.unsubscribe("a")
	c.subscribe("c")
}

// TestAppearancesAreBounded has a client join and leave a presence channel, of
// which its members are told each time, as fast as it can.
func TestAppearancesAreBounded(t *testing.T) {
	t.Parallel()
	d := start(t)
	var member *client
	for i := range 50 { // the last one has heard of nobody else
		member = d.connect(t)
		member.joinAs("presence-room", fmt.Sprint("member ", i))
	}
	c := d.connect(t)
	const often, atOnce = 300, 100
	for range often {
		c.send(c.subscription("presence-room", "hostile"))
		c.unsubscribe("presence-room")
	}
	joined := 0
	for range often {
		switch m := c.next(); m.Event {
		case "pusher_internal:subscription_succeeded":
			joined++
		case "pusher:subscription_error":
			if !strings.Contains(string(m.Data), `"status":429`) {
				t.Fatalf("refused with %s", m.Data)
			}
		default:
			t.Fatalf("got %+v", m)
		}
	}
	// What was joined in the time that this took is some more.
	if joined < atOnce || joined == often {
		t.Errorf("%d of %d were let in, want about %d", joined, often, atOnce)
	}
	for range joined {
		for _, event := range []string{"pusher_internal:member_added", "pusher_internal:member_removed"} {
			if m := member.next(); m.Event != event {
				t.Fatalf("a member got %+v, want %s", m, event)
			}
		}
	}
	member.fence()
	c.subscribe("jobs") // is no appearance
}

// TestAppearancesBeforeFew: a client can come back to any number of small channels.
func TestAppearancesBeforeFew(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := d.connect(t)
	for i := range 300 {
		c.joinAs(fmt.Sprintf("presence-%d", i), "user")
	}
}

// TestAppearancesWhileAsking: a question to the API that is under way is no way around
// that limit.
func TestAppearancesWhileAsking(t *testing.T) {
	t.Parallel()
	const often = 200
	api := startAPI(t)
	d := start(t, api.configure)
	api.mute(t)
	for i := range 50 {
		d.connect(t).joinAs("presence-room", fmt.Sprint("member ", i))
	}
	c := d.connect(t, "Authorization: Bearer "+token)
	for range often {
		c.subscribeUnsigned("presence-room")
		c.send(c.subscription("presence-room", "hostile"))
		for {
			m := c.next()
			if strings.Contains(string(m.Data), "presence channels a second") {
				return
			}
			if m.Event == "pusher_internal:subscription_succeeded" {
				break
			}
		}
		c.unsubscribe("presence-room")
	}
	t.Errorf("all of %d were let in", often)
}

// TestTokenNeedsAuthorization: a token that the API would not get to see is no
// credential.
func TestTokenNeedsAuthorization(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	d := start(t, func(c *config.Config) {
		c.Auth.Endpoint = api.url
		c.Auth.Headers = []string{"Cookie"}
	})
	c := d.open(t, appTarget+"&token="+token)
	c.wantEstablished()
	c.send(`{"event":"pusher:subscribe","data":{"channel":"private-user.7"}}`)
	c.wantRefused("private-user.7", "AuthError", http.StatusUnauthorized)
	if n := len(api.called()); n != 0 {
		t.Errorf("the API was asked %d times", n)
	}
}
