package redisbridge

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/redistest"
)

func TestBridgeSurvivesRestart(t *testing.T) {
	server := redistest.Start(t)
	b := start(t, Options{URL: server.URL(), Sources: laravel})
	b.untilUp()
	b.untilLogged("redis subscribed", server.Addr(), "laravel_database_*")

	server.Kill()
	b.untilDown("refused")
	if got := b.metric("broadcastd_redis_up"); got != 0 {
		t.Errorf("broadcastd_redis_up is %v while Redis is down", got)
	}
	b.untilLogged("level=WARN", "redis connection lost", server.Addr())

	server.Restart()
	b.untilUp()
	b.untilLogged("level=WARN", "events published meanwhile are lost", "gap=")
	publish(t, server.Client(), `{"event":"e"}`, "laravel_database_a")
	b.events(1)
	if up, reconnects := b.metric("broadcastd_redis_up"), b.metric("broadcastd_redis_reconnects_total"); up != 1 || reconnects != 1 {
		t.Errorf("up is %v and there were %v reconnects, want 1 and 1", up, reconnects)
	}
}

func TestBridgeNoticesFrozenRedis(t *testing.T) {
	server := redistest.Start(t)
	b := start(t, Options{URL: server.URL(), Sources: laravel})
	b.untilUp()

	server.Freeze()
	b.untilDown("")
	b.untilLogged("redis connection lost", errSilent.Error())

	server.Thaw()
	b.untilUp()
	publish(t, server.Client(), `{"event":"e"}`, "laravel_database_a")
	b.events(1)
	if got := b.metric("broadcastd_redis_reconnects_total"); got != 1 {
		t.Errorf("%v reconnects, want 1", got)
	}
}

// A connection that Redis cuts must not be replaced in silence.
func TestBridgeTellsOfEveryGap(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	b := start(t, Options{URL: server.URL(), Sources: laravel})
	for i := range 3 {
		want := float64(i)
		until(t, "the reconnect", func() bool {
			return b.State().Up && b.metric("broadcastd_redis_reconnects_total") == want
		})
		if err := client.ClientKillByFilter(context.Background(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the last gap in the log", func() bool { return b.logged("events published meanwhile are lost") == 3 })
}

func TestBridgeWaitsForRedis(t *testing.T) {
	server := redistest.Reserve(t)
	b := start(t, Options{URL: server.URL(), Sources: laravel})
	if state := b.State(); state.Up || state.Err == "" {
		t.Errorf("state before the start is %+v", state)
	}
	b.untilDown("refused")
	b.untilLogged("level=WARN", "trying again", "refused")

	server.Restart()
	b.untilUp()
	publish(t, server.Client(), `{"event":"e"}`, "laravel_database_a")
	b.events(1)
	if got := b.metric("broadcastd_redis_reconnects_total"); got != 0 {
		t.Errorf("%v reconnects, want none, since nothing was lost", got)
	}
}

func TestBridgeEndsDuringHandshake(t *testing.T) {
	server := redistest.Start(t)
	server.Freeze()
	start(t, Options{URL: server.URL(), Sources: laravel}) // whose clean-up waits for the end
}

func TestBridgePassword(t *testing.T) {
	const wrong = "wrong-hunter2"
	server := redistest.Start(t, "--requirepass", "right")
	client := server.Client(func(o *redis.Options) { o.Password = "right" })
	for name, url := range map[string]string{"wrong": server.URLAs("default", wrong), "none": server.URL()} {
		t.Run(name, func(t *testing.T) {
			b := start(t, Options{URL: url, Sources: laravel})
			b.untilDown("check the user and the password in redis.url")
			b.untilLogged("trying again", "redis.url")
			if strings.Contains(b.log.String(), wrong) || strings.Contains(b.State().Err, wrong) {
				t.Error("the password was told")
			}
		})
	}
	b := start(t, Options{URL: server.URLAs("default", wrong), Sources: laravel})
	b.untilDown("WRONGPASS")
	if err := client.ConfigSet(context.Background(), "requirepass", wrong).Err(); err != nil {
		t.Fatal(err)
	}
	b.untilUp()
	if lines := b.logged("trying again"); lines != 1 {
		t.Errorf("%d lines about one failure", lines)
	}
}

func TestBridgeWithoutPermission(t *testing.T) {
	server := redistest.Start(t, "--user", "reader", "on", ">pw", "resetchannels", "+psubscribe", "+ping")
	client := server.Client()
	b := start(t, Options{URL: server.URLAs("reader", "pw"), Sources: []Source{{Prefix: "laravel-database-"}, {Prefix: "laravel_database_"}}})
	b.untilDown("NOPERM")
	b.untilLogged("trying again", "'&laravel-database-*'")

	if err := client.ACLSetUser(context.Background(), "reader", "&laravel_database_*").Err(); err != nil {
		t.Fatal(err)
	}
	b.untilUp()
	b.untilLogged("refuses a part", "'&laravel-database-*'")
	if state := b.State(); !strings.Contains(state.Err, "'&laravel-database-*'") || strings.Contains(state.Err, "'&laravel_database_*'") {
		t.Errorf("state is %+v, want the refused pattern in it, and only that", state)
	}
	publish(t, client, `{"event":"e"}`, "laravel-database-a", "laravel_database_b")
	if got := b.events(1)[0].event.Channel; got != "b" {
		t.Errorf("got an event on %s, want b", got)
	}
}

// A user that may not PING gets refusals, which are answers.
func TestBridgeWithoutPing(t *testing.T) {
	server := redistest.Start(t, "--user", "reader", "on", ">pw", "resetchannels", "&laravel_database_*", "+psubscribe")
	client := server.Client()
	b := start(t, Options{URL: server.URLAs("reader", "pw"), Sources: laravel, PingInterval: 100 * time.Millisecond})
	b.untilUp()
	until(t, "several refused pings", func() bool {
		refusals, err := client.ACLLog(context.Background(), 10).Result()
		return err == nil && slices.ContainsFunc(refusals, func(r *redis.ACLLogEntry) bool {
			return r.Object == "ping" && r.Count > maxUnanswered+1
		})
	})
	publish(t, client, `{"event":"e"}`, "laravel_database_a")
	b.events(1)
	if got := b.metric("broadcastd_redis_reconnects_total"); got != 0 {
		t.Errorf("%v reconnects, want none", got)
	}
}

func TestBridgeOverTLS(t *testing.T) {
	server := redistest.Start(t)
	addr := tlsInFrontOf(t, server.Addr())
	b := start(t, Options{URL: "rediss://" + addr, Sources: laravel})
	b.untilDown("certificate")

	b = start(t, Options{URL: "rediss://" + addr + "?skip_verify=true", Sources: laravel})
	b.untilUp()
	publish(t, server.Client(), `{"event":"e"}`, "laravel_database_a")
	b.events(1)
}

// tlsInFrontOf forwards TLS connections to addr, with a certificate of its own.
func tlsInFrontOf(t *testing.T, addr string) string {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: certified.TLS.Certificates,
		MinVersion:   tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	var forwarding sync.WaitGroup
	forwarding.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			forwarding.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			forwarding.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		forwarding.Wait()
	})
	return listener.Addr().String()
}
