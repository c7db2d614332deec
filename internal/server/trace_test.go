package server_test

import (
	"strings"
	"testing"

	"broadcastd/internal/config"
)

// TestTraceMasks looks for secrets in what --debug prints of both directions.
func TestTraceMasks(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.Debug = true })
	a, b := d.connect(t), d.connect(t)
	a.subscribe("private-a")
	b.subscribe("private-a")
	a.send(`{"event":"client-x","channel":"private-a","data":{"access_token":"hush1","api_token":"a\"hush2","nested":"{\"password\":\"hush3\"}","secret":424242,"oauth2_token":"hush5","tokens":["hush6"],"note":"plain"}}`)
	b.next()
	d.publish(t, "private-a", "e", `{"shared_secret":"hush4","note":"plain"}`)
	b.next()
	eventually(t, func() bool { return strings.Count(d.log.String(), "shared_secret") >= 2 }, d.log.String)
	log := d.log.String()
	for _, secret := range []string{"hush1", "hush2", "hush3", "hush4", "hush5", "hush6", "424242"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q was printed", secret)
		}
	}
	for _, what := range []string{"message in", "message out", "connection_established", "plain"} {
		if !strings.Contains(log, what) {
			t.Errorf("%q was not printed", what)
		}
	}
}

// TestTraceInflates: what goes out compressed, and comes in so, is printed as
// the text that it is.
func TestTraceInflates(t *testing.T) {
	t.Parallel()
	d := start(t, compression, func(c *config.Config) { c.Debug = true })
	c := d.connect(t)
	c.write(compressed(c.subscription("private-a", "")))
	c.next()
	d.publish(t, "private-a", "e", `{"secret":"hush","list":[`+large(1000)+`0],"note":"plain"}`)
	c.next()
	if c.compressed != 1 {
		t.Errorf("%d messages were compressed", c.compressed)
	}
	eventually(t, func() bool { return strings.Contains(d.log.String(), "plain") }, d.log.String)
	log := d.log.String()
	if !strings.Contains(log, "pusher:subscribe") || !strings.Contains(log, "title") {
		t.Errorf("a message is missing in %s", log)
	}
	if strings.Contains(log, "hush") {
		t.Error("a secret was printed")
	}
}
