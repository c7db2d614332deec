package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/daemon"
	"broadcastd/test/redistest"
)

const (
	redisUp    = "broadcastd_redis_up"
	reconnects = "broadcastd_redis_reconnects_total"
	password   = "hunter2-of-redis"
)

// bridged is a daemon that hears Laravel publish, with a client that listens.
type bridged struct {
	*daemon.Daemon
	t       *testing.T
	redis   *redis.Client // the operator's, who may do everything
	client  *daemon.Client
	before  daemon.Leftover
	counter int
}

func startBridged(t *testing.T, url string, operator *redis.Client) *bridged {
	t.Helper()
	d := daemon.Start(t, daemon.Options{Config: fmt.Sprintf("redis: {url: %q, prefix: [laravel-]}", url)})
	b := &bridged{Daemon: d, t: t, redis: operator, client: d.Connect()}
	b.client.Subscribe("private-jobs")
	b.WaitMetric(redisUp, 1)
	b.hears()
	b.before = d.Holds()
	return b
}

// hears publishes an event, which arrives.
func (b *bridged) hears() {
	b.t.Helper()
	b.counter++
	data := fmt.Sprint(b.counter)
	if err := b.redis.Publish(context.Background(), "laravel-private-jobs", `{"event":"e","data":`+data+`}`).Err(); err != nil {
		b.t.Fatal(err)
	}
	b.client.Want("private-jobs", "e", data)
}

// deaf waits until the loss is told of everywhere, and checks that nobody but Redis
// is missing.
func (b *bridged) deaf(words ...string) {
	b.t.Helper()
	b.WaitReady(200, append([]string{`"degraded"`, "redis is away since"}, words...)...)
	b.WaitLog("level=WARN", "redis connection lost")
	if up := b.Metric(redisUp); up != 0 {
		b.t.Errorf("%s is %v", redisUp, up)
	}
	if code, body, err := b.Post("private-jobs", "posted", "1", time.Now()); code != 200 {
		b.t.Errorf("the HTTP API answers %d %s %v", code, body, err)
	}
	b.client.Want("private-jobs", "posted", "1")
}

// recovers waits until events arrive again, and the gap is told of.
func (b *bridged) recovers(times float64) {
	b.t.Helper()
	b.WaitMetric(reconnects, times)
	b.WaitLog("level=WARN", "events published meanwhile are lost", "gap=")
	b.WaitReady(200, `"ready"`)
	b.hears()
	b.WantNoMore(b.before)
	if strings.Contains(b.Log.String(), password) {
		b.t.Error("the password is in the log")
	}
	if n := b.Log.Lines("level=WARN"); n > 8 {
		b.t.Errorf("%d warnings about one failure:\n%s", n, b.Log)
	}
}

func TestRedisKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := startBridged(t, server.URL(), server.Client())
	server.Kill()
	b.deaf("refused")
	server.Restart()
	b.recovers(1)
}

func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := startBridged(t, server.URL(), server.Client())
	server.Freeze()
	b.deaf()
	b.WaitLog("redis connection lost", "no answer to pings")
	server.Thaw()
	b.recovers(1)
}

// A Redis that takes seconds is slow and not away: nothing is lost.
func TestRedisSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := startProxy(t, server.Addr())
	b := startBridged(t, "redis://"+p.addr, server.Client())
	p.delay.Store(int64(3 * time.Second))
	b.hears()
	b.WaitReady(200, `"ready"`)
	p.delay.Store(0)
	b.hears()
	if n := b.Metric(reconnects); n != 0 {
		t.Errorf("%v reconnects, want none", n)
	}
	b.WantNoMore(b.before)
}

// The password is changed while the daemon runs, and its connection cut.
func TestRedisRefusesThePassword(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := redistest.Start(t)
	operator := server.Client()
	for _, args := range [][]any{
		{"acl", "setuser", "operator", "on", "nopass", "+@all", "~*", "&*"},
		{"config", "set", "requirepass", password},
	} {
		if err := operator.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	operator = server.Client(func(o *redis.Options) { o.Username, o.Password = "operator", "any" })
	b := startBridged(t, server.URLAs("default", password), operator)
	change := func(to string) {
		t.Helper()
		if err := operator.ConfigSet(ctx, "requirepass", to).Err(); err != nil {
			t.Fatal(err)
		}
		if err := operator.ClientKillByFilter(ctx, "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
	}
	change("another")
	b.deaf("WRONGPASS", "check the user and the password in redis.url")
	change(password)
	b.recovers(1)
}

// A Redis that comes back with another password, as after a wrong deployment.
func TestRedisRestartedWithAnotherPassword(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := redistest.Start(t, "--user", "operator", "on", "nopass", "+@all", "~*", "&*")
	operator := server.Client(func(o *redis.Options) { o.Username, o.Password = "operator", "any" })
	set := func(to string) {
		t.Helper()
		if err := operator.ConfigSet(ctx, "requirepass", to).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set(password)
	b := startBridged(t, server.URLAs("default", password), operator)
	server.Kill()
	b.deaf("refused")
	server.Restart()
	set("another")
	if err := operator.ClientKillByFilter(ctx, "TYPE", "pubsub").Err(); err != nil { // who was quicker
		t.Fatal(err)
	}
	b.WaitReady(200, `"degraded"`, "WRONGPASS", "check the user and the password in redis.url")
	set(password)
	b.recovers(1)
}

// The rights of the daemon's user are taken while it runs.
func TestRedisTakesTheRights(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := redistest.Start(t, "--user", "reader", "on", ">"+password, "resetchannels", "&laravel-*", "+psubscribe", "+ping")
	operator := server.Client()
	b := startBridged(t, server.URLAs("reader", password), operator)
	if err := operator.ACLSetUser(ctx, "reader", "resetchannels").Err(); err != nil {
		t.Fatal(err)
	}
	b.deaf("NOPERM", "allow it with ACL SETUSER")
	if err := operator.ACLSetUser(ctx, "reader", "&laravel-*").Err(); err != nil {
		t.Fatal(err)
	}
	b.recovers(1)
}

// What an API adds to the log waits for a Redis that is away, and for the daemon.
func TestRedisWithALogLosesNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ begin, end func(*redistest.Server) }{
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"frozen": {(*redistest.Server).Freeze, (*redistest.Server).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			d := daemon.Start(t, daemon.Options{Config: fmt.Sprintf("redis: {url: %q, source: stream}", server.URL())})
			c := d.Connect()
			c.Subscribe("private-jobs")
			d.WaitLog("the log is read")
			api := server.Client()
			sent, heard := 0, 0
			add := func() error {
				return api.XAdd(context.Background(), &redis.XAddArgs{
					Stream: "broadcastd:{" + daemon.AppID + ":0}:log",
					Values: []any{"channel", "private-jobs", "event", "e", "data", sent},
				}).Err()
			}
			hear := func() {
				t.Helper()
				for ; heard < sent; heard++ {
					c.Want("private-jobs", "e", fmt.Sprint(heard))
				}
			}
			for ; sent < 10; sent++ {
				if err := add(); err != nil {
					t.Fatal(err)
				}
			}
			hear()
			before := d.Holds()
			for ; sent < 50; sent++ { // some are read after the fault only
				if err := add(); err != nil {
					t.Fatal(err)
				}
			}
			fault.begin(server)
			d.WaitReady(200, `"degraded"`, "cluster")
			fault.end(server)
			for ; sent < 100; sent++ {
				daemon.Eventually(t, "adding to the log", add)
			}
			hear()
			d.WaitReady(200, `"ready"`)
			d.WaitLog("the cluster's Redis answers again")
			d.WantNoMore(before)
		})
	}
}
