package server_test

import (
	"fmt"
	"strings"
	"testing"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/protocol"
)

// signinAs is a pusher:signin with user_data as it is, signed for the client.
func (c *client) signinAs(userData string) string {
	c.t.Helper()
	return signinWith(c.t, auth.SignUser(appKey, appSecret, c.id, userData), userData)
}

func signinWith(t testing.TB, signature, userData string) string {
	t.Helper()
	return string(mustJSON(t, map[string]any{"event": "pusher:signin", "data": map[string]string{
		"auth": signature, "user_data": userData,
	}}))
}

// TestUserEvents signs in, and gets what is sent to the user.
func TestUserEvents(t *testing.T) {
	t.Parallel()
	const own = protocol.ServerToUser + "7"
	d := start(t)
	c, other := d.connect(t), d.connect(t)
	c.send(c.signinAs(`{"id":"7","user_info":{"name":"Ann"}}`))
	c.want(`{"event":"pusher:signin_success","data":{"user_data":"{\"id\":\"7\",\"user_info\":{\"name\":\"Ann\"}}"}}`)
	other.signin("8")

	c.subscribe(own)
	other.send(other.subscription(own, ""))
	other.wantRefused(own, "AuthError", 403)
	d.publish(t, own, "hello", "{}")
	c.wantEvent(own, "hello", "{}")
	other.fence()
}

// TestSigninRefused: a no leaves the connection as it was, and it can still
// sign in.
func TestSigninRefused(t *testing.T) {
	t.Parallel()
	const user = `{"id":"7"}`
	d := start(t)
	c, stranger := d.connect(t), d.connect(t)
	for name, sent := range map[string]string{
		"no signature":       signinWith(t, "", user),
		"other key":          signinWith(t, auth.SignUser("other-key", appSecret, c.id, user), user),
		"other secret":       signinWith(t, auth.SignUser(appKey, "other-secret", c.id, user), user),
		"other connection":   signinWith(t, auth.SignUser(appKey, appSecret, stranger.id, user), user),
		"other user":         signinWith(t, auth.SignUser(appKey, appSecret, c.id, `{"id":"8"}`), user),
		"for a channel":      signinWith(t, auth.SignChannel(appKey, appSecret, c.id, "private-a", user), user),
		"not JSON":           c.signinAs(`{`),
		"a list":             c.signinAs(`["7"]`),
		"no id":              c.signinAs(`{"user_info":{}}`),
		"ID is not id":       c.signinAs(`{"ID":"7"}`),
		"empty id":           c.signinAs(`{"id":""}`),
		"id a number":        c.signinAs(`{"id":7}`),
		"id too long":        c.signinAs(`{"id":"` + strings.Repeat("u", protocol.MaxUserID+1) + `"}`),
		"watchlist a string": c.signinAs(`{"id":"7","watchlist":"8"}`),
		"watchlist of 8":     c.signinAs(`{"id":"7","watchlist":[8]}`),
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.send(sent)
			c.wantError(4009)
			c.fence()
		})
	}
	c.t = t
	c.signin("7")
	c.send(c.signinAs(`{"id":"8"}`)) // nobody becomes somebody else
	c.wantError(4009)
	c.fence()
}

func TestWatchlistEvents(t *testing.T) {
	t.Parallel()
	event := func(name, ids string) string {
		return fmt.Sprintf(`{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"%s\",\"user_ids\":[%s]}]}"}`, name, ids)
	}
	d := start(t)
	bob, ann, annToo := d.connect(t), d.connect(t), d.connect(t)
	bob.signin("bob")
	ann.send(ann.signinAs(`{"id":"ann","watchlist":["bob","eve"]}`))
	if m := ann.next(); m.Event != "pusher:signin_success" {
		t.Fatalf("%+v", m)
	}
	ann.want(event("online", `\"bob\"`))
	annToo.signin("ann")
	ann.fence()
	_ = bob.nc.Close()
	ann.want(event("offline", `\"bob\"`))
	ann.fence()
}

// TestLongWatchlist watches one user more than a client may: those before are
// watched.
func TestLongWatchlist(t *testing.T) {
	t.Parallel()
	ids := make([]string, channels.MaxWatchlist+1)
	for i := range ids {
		ids[i] = fmt.Sprint("user-", i)
	}
	d := start(t)
	c, last := d.connect(t), d.connect(t)
	c.send(c.signinAs(string(mustJSON(t, map[string]any{"id": "7", "watchlist": ids}))))
	if m := c.next(); m.Event != "pusher:signin_success" {
		t.Fatalf("%+v", m)
	}
	c.wantError(4302)
	last.signin(ids[channels.MaxWatchlist])
	c.fence()
	d.connect(t).signin(ids[channels.MaxWatchlist-1])
	if m := c.next(); m.Event != "pusher_internal:watchlist_events" {
		t.Errorf("%+v", m)
	}
}
