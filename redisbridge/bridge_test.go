package redisbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/protocol"
	"broadcastd/test/redistest"
)

var laravel = []Source{{Prefix: "laravel_database_", App: "app-id"}}

func TestBridgeHearsLaravel(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	b := start(t, Options{URL: server.URL(), Sources: append([]Source{{App: "rest"}}, laravel...)})
	b.untilUp()

	var want []string
	skipped := map[string]float64{}
	for _, p := range readFixture[published](t, "redis-publish.json") {
		publish(t, client, p.Payload, p.Channel)
		app := "rest"
		channel, ok := strings.CutPrefix(p.Channel, "laravel_database_")
		if ok {
			app = "app-id"
		}
		m, err := Decode([]byte(p.Payload))
		switch {
		case protocol.CheckChannel(channel) != nil:
			skipped["bad_channel"]++
		case err != nil:
			skipped["not_json"]++
		default:
			m.Event.Channel = channel
			want = append(want, delivery{app, m.Event}.String())
		}
	}
	for i, got := range b.events(len(want)) {
		if got.String() != want[i] {
			t.Errorf("event %d is\n%s\nwant\n%s", i, got, want[i])
		}
	}
	until(t, "all messages to be counted", func() bool {
		return b.metric("broadcastd_redis_messages_total", "ok") == float64(len(want))
	})
	for _, reason := range reasons() {
		if got := b.metric("broadcastd_redis_messages_total", reason.Label); got != skipped[reason.Label] {
			t.Errorf("%v messages %s, want %v", got, reason.Label, skipped[reason.Label])
		}
	}
	if skipped["bad_channel"] == 0 || skipped["not_json"] == 0 {
		t.Errorf("the recording lost its odd messages: %v", skipped)
	}
	if got := b.metric("broadcastd_redis_bad_sockets_total"); got != 1 {
		t.Errorf("%v events with a bad socket, want the one that says undefined", got)
	}
}

func TestBridgeKeepsOrder(t *testing.T) {
	const events = 10_000
	server := redistest.Start(t)
	b := start(t, Options{URL: server.URL(), Sources: laravel})
	b.untilUp()

	// Several channels in one script, many scripts in flight.
	pipe := server.Client().Pipeline()
	for i := 0; i < events; i += 2 {
		payload := fmt.Sprintf(`{"event":"e","data":%d,"socket":null}`, i/2)
		pipe.Eval(context.Background(), publishScript, nil, payload, "laravel_database_a", "laravel_database_b")
	}
	_, _ = pipe.Exec(context.Background()) // redis.Nil, since the script returns nothing
	for i, d := range b.events(events) {
		want := `"` + strconv.Itoa(i/2) + `"`
		if channel := "ab"[i%2 : i%2+1]; string(d.event.Data) != want || d.event.Channel != channel {
			t.Fatalf("event %d is %s, want %s on %s", i, d, want, channel)
		}
	}
}

// Time that Publish takes is neither silence of Redis nor a loss.
func TestBridgeSlowPublish(t *testing.T) {
	const interval, events = 100 * time.Millisecond, 500
	server := redistest.Start(t)
	client := server.Client()
	var b *running
	var once sync.Once
	b = start(t, Options{
		URL: server.URL(), Sources: laravel, PingInterval: interval,
		Publish: func(app string, e protocol.Event) error {
			once.Do(func() { time.Sleep(2 * maxUnanswered * interval) })
			return b.deliver(app, e)
		},
	})
	b.untilUp()
	for i := range events {
		publish(t, client, fmt.Sprintf(`{"event":"e","data":%d}`, i), "laravel_database_a")
	}
	for i, d := range b.events(events) {
		if want := `"` + strconv.Itoa(i) + `"`; string(d.event.Data) != want {
			t.Fatalf("event %d is %s, want %s", i, d, want)
		}
	}
	if got := b.metric("broadcastd_redis_reconnects_total"); got != 0 {
		t.Errorf("%v reconnects, want none", got)
	}
}

func TestBridgeOverlappingPrefixes(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	b := start(t, Options{URL: server.URL(), Sources: []Source{
		{"a-", "short"}, {"a-b-", "long"}, {"a-b-c-", "longest"}, {"x-", "other"},
	}})
	b.untilUp()
	for _, channel := range []string{"a-n", "a-b-n", "a-b-c-n", "x-n", "y-n", "a-b-cn"} {
		publish(t, client, `{"event":"e"}`, channel)
	}
	var got []string
	for _, d := range b.events(5) {
		got = append(got, d.app+" "+d.event.Channel)
	}
	if want := "short n, long n, longest n, other n, long cn"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestBridgeTakesPrefixLiterally(t *testing.T) {
	const prefix = `a*b?c[d]e\f^]-`
	server := redistest.Start(t)
	client := server.Client()
	b := start(t, Options{URL: server.URL(), Sources: []Source{{Prefix: prefix}}})
	b.untilUp()
	publish(t, client, `{"event":"no"}`, `aXbXcdef^]-n`, `aXb?c[d]e\f^]-n`, `a*bXc[d]e\f^]-n`, `a*b?cde\f^]-n`, `a*b?c[d]ef^]-n`)
	publish(t, client, `{"event":"yes"}`, prefix+"n")
	if got := b.events(1)[0].event; got.Name != "yes" || got.Channel != "n" {
		t.Errorf("got %s on %s, want yes on n", got.Name, got.Channel)
	}
}

func TestBridgeSkipsForeignMessages(t *testing.T) {
	const floods = 2000
	server := redistest.Start(t)
	client := server.Client()
	b := start(t, Options{
		URL: server.URL(), Sources: []Source{{"", "app"}},
		MaxEventSize: func(string) int { return 40 },
		Publish:      nil,
	})
	b.untilUp()
	secret := "payload-that-is-private"
	pipe := client.Pipeline()
	for range floods {
		pipe.Publish(context.Background(), "news", secret)
		pipe.Publish(context.Background(), "jobs\nwith\x1b[31m "+strings.Repeat("long", 100), `{"event":"e"}`)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
	publish(t, client, `{"event":"`+strings.Repeat("e", 201)+`"}`, "news")
	publish(t, client, `{"type":"`+secret+`"}`, "news")
	publish(t, client, "{\"event\":\""+secret+"\xff\"}", "news")
	publish(t, client, `{"event":"e","data":"`+secret+strings.Repeat("x", 40)+`"}`, "news")
	publish(t, client, `{"event":"fits","data":{"a":"`+strings.Repeat("x", 32)+`"}}`, "news")

	if got := b.events(1)[0].event.Name; got != "fits" {
		t.Errorf("got %s, want fits", got)
	}
	for reason, want := range map[string]float64{
		"not_json": floods, "bad_channel": floods, "event_name": 1, "not_an_event": 1, "invalid_utf8": 1, "too_big": 1,
	} {
		if got := b.metric("broadcastd_redis_messages_total", reason); got != want {
			t.Errorf("%v messages %s, want %v", got, reason, want)
		}
		b.untilLogged("skipped", "reason="+reason, "count=1 ")
	}
	until(t, "the log to account for the flood", func() bool {
		return b.logged("skipped", "reason=not_json") >= 2 && b.logged("skipped", "reason=bad_channel") >= 2
	})
	if lines := b.logged("skipped"); lines > 100 {
		t.Errorf("%d lines for %d messages", lines, 2*floods)
	}
	if b.logged(secret) > 0 {
		t.Error("a payload is in the log")
	}
	if b.logged(strings.Repeat("long", 20)) > 0 || b.logged("\x1b") > 0 {
		t.Error("a channel's name is in the log unquoted or uncut")
	}
}

func TestBridgePublishRefuses(t *testing.T) {
	server := redistest.Start(t)
	b := start(t, Options{
		URL: server.URL(), Sources: laravel,
		Publish: func(string, protocol.Event) error { return errors.New("no such app") },
	})
	b.untilUp()
	publish(t, server.Client(), `{"event":"e"}`, "laravel_database_a")
	b.untilLogged("skipped", "reason=not_published", "no such app", "laravel_database_a")
	if got := b.metric("broadcastd_redis_messages_total", "not_published"); got != 1 {
		t.Errorf("%v messages not_published, want 1", got)
	}
}

func TestBridgeOverUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redis.sock")
	server := redistest.Start(t, "--unixsocket", path)
	b := start(t, Options{URL: "unix://" + path, Sources: laravel})
	b.untilUp()
	publish(t, server.Client(), `{"event":"e"}`, "laravel_database_a")
	b.events(1)
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		opt  Options
		want string
	}{
		"no URL":                       {Options{Sources: laravel}, "redis.url"},
		"another scheme":               {Options{URL: "http://:hunter2@host", Sources: laravel}, "redis.url"},
		"odd characters in a password": {Options{URL: "redis://:hun/ter2@host:6379", Sources: laravel}, "%2F"},
		"bad port":                     {Options{URL: "redis://:hunter2@host:port", Sources: laravel}, "redis.url"},
		"bad database":                 {Options{URL: "redis://host/hunter2", Sources: laravel}, "redis.url"},
		"no prefix":                    {Options{URL: "redis://:hunter2@host"}, "redis.prefix"},
	}
	for name, test := range tests {
		test.opt.Log, test.opt.Registerer = slog.New(slog.DiscardHandler), prometheus.NewRegistry()
		_, err := New(test.opt)
		switch {
		case err == nil || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: got %v, want an error with %s", name, err, test.want)
		case strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2@"):
			t.Errorf("%s: the password is in the error: %v", name, err)
		}
	}
}

func TestMetricsExistFromTheStart(t *testing.T) {
	b := start(t, Options{URL: "redis://127.0.0.1:1", Sources: laravel})
	for _, reason := range reasons() {
		if got := b.metric("broadcastd_redis_messages_total", reason.Label); got != 0 {
			t.Errorf("%s is %v", reason.Label, got)
		}
	}
	b.metric("broadcastd_redis_messages_total", "ok")
	b.metric("broadcastd_redis_reconnects_total")
}
