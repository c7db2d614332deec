package redisbridge

import (
	"testing"

	"broadcastd/protocol"
	"broadcastd/test/redistest"
)

// TestPanicCostsOneMessage breaks what takes the events: the next one arrives.
func TestPanicCostsOneMessage(t *testing.T) {
	server := redistest.Start(t)
	var b *running
	started := make(chan struct{})
	opt := Options{URL: server.URL(), Sources: laravel, Publish: func(app string, e protocol.Event) error {
		if e.Name == "bad" {
			panic("boom")
		}
		<-started
		return b.deliver(app, e)
	}}
	b = start(t, opt)
	close(started)
	b.untilUp()
	publish(t, server.Client(), `{"event":"bad"}`, "laravel_database_a")
	publish(t, server.Client(), `{"event":"good"}`, "laravel_database_a")
	if got := b.events(1)[0].event.Name; got != "good" {
		t.Errorf("got the event %s", got)
	}
	b.untilLogged("reason=panic", "boom", "receive.go")
	if n := b.metric("broadcastd_redis_messages_total", "panic"); n != 1 {
		t.Errorf("%v panics are counted", n)
	}
	if n := b.metric("broadcastd_redis_reconnects_total"); n != 0 {
		t.Errorf("%v reconnects, want none", n)
	}
}
