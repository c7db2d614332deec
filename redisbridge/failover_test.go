package redisbridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/redistest"
)

// untilHeard publishes with publish until the bridge hears it, as an app would
// go on doing.
func (r *running) untilHeard(publish func() error) {
	r.t.Helper()
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.delivered)
	}
	before := count()
	until(r.t, "an event", func() bool { _ = publish(); return count() > before })
}

// app is an API that publishes by way of the Redis at a URL.
func app(t *testing.T, url string) (client redis.UniversalClient, publish func() error) {
	t.Helper()
	client, err := NewClient(url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return client.Publish(ctx, "laravel_database_a", `{"event":"e"}`).Err()
	}
}

func TestSentinelFailover(t *testing.T) {
	s := redistest.StartSentinels(t)
	_, publish := app(t, s.URL())
	b := start(t, Options{URL: s.URL(), Sources: laravel})
	b.untilUp()
	b.untilHeard(publish)

	killed := s.KillMaster()
	b.untilDown("")
	b.untilUp()
	b.untilHeard(publish)

	// A master that froze, and is replaced, is left at once: nobody waits for it
	// to be silent for long enough.
	killed.Restart()
	s.WaitReady()
	frozen := s.FreezeMaster()
	s.WaitReady()
	b.untilHeard(publish)
	frozen.Thaw()
	b.untilHeard(publish)
	if err := Ping(context.Background(), s.URL()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

// A master that nobody listens to any more looks alive to who is connected.
func TestBridgeLeavesReplacedMaster(t *testing.T) {
	s := redistest.StartSentinels(t)
	b := start(t, Options{URL: s.URL(), Sources: laravel, PingInterval: 100 * time.Millisecond})
	b.untilUp()
	old := s.Master()
	if err := s.Sentinel(0).Client().Do(context.Background(), "sentinel", "failover", "main").Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "another master", func() bool { return s.Master() != old })
	until(t, "the bridge to move", func() bool {
		return b.State().Up && b.metric("broadcastd_redis_reconnects_total") > 0 &&
			s.Master().Client().PubSubNumPat(context.Background()).Val() == 1
	})
	_, publish := app(t, s.URL())
	b.untilHeard(publish)
}

func TestMisplaced(t *testing.T) {
	s := redistest.StartSentinels(t)
	e, err := newEndpoint(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	node, err := e.locate(ctx)
	if err != nil || node.Addr != s.Master().Addr() {
		t.Fatalf("located %v, %v, want %s", node, err, s.Master().Addr())
	}
	if err := e.misplaced(ctx, node); err != nil {
		t.Errorf("the master: %v", err)
	}
	s.Sentinel(0).Kill() // the others are asked
	if err := e.misplaced(ctx, e.at("127.0.0.1:1")); err == nil || !strings.Contains(err.Error(), node.Addr) {
		t.Errorf("no master: got %v, want %s in it", err, node.Addr)
	}
	s.Sentinel(1).Kill()
	s.Sentinel(2).Kill()
	if err := e.misplaced(ctx, e.at("127.0.0.1:1")); err != nil {
		t.Errorf("no Sentinel: %v", err)
	}
	if _, err := e.locate(ctx); err == nil || !strings.Contains(err.Error(), "the Sentinel at") {
		t.Errorf("no Sentinel: located, %v", err)
	}
}

func TestSentinelErrors(t *testing.T) {
	sentinel := redistest.StartSentinels(t).Sentinel(0)
	plain := redistest.Start(t)
	for name, test := range map[string]struct{ url, want string }{
		"another name": {sentinel.URL() + "?master_name=mian", `no master is called "mian"`},
		"password":     {sentinel.URLAs("nobody", "hunter2") + "?master_name=main", "which are for Sentinels"},
		"no Sentinel":  {plain.URL() + "?master_name=main", plain.Addr()},
	} {
		err := Ping(context.Background(), test.url)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestClusterFailover(t *testing.T) {
	const user = "bridge"
	c := redistest.StartCluster(t, "--user", user, "on", ">hunter2", "resetchannels", "&laravel_database_*", "+psubscribe", "+ping", "+cluster|nodes")
	url := c.URLAs(user, "hunter2") // one node: it is told of the others
	_, publish := app(t, c.URL())
	if err := Ping(context.Background(), url); err != nil {
		t.Errorf("ping: %v", err)
	}
	b := start(t, Options{URL: url, Sources: laravel})
	b.untilUp()
	b.untilHeard(publish)

	c.Node(0).Kill() // which it is subscribed at
	b.untilDown("")
	b.untilUp()
	c.WaitReady()
	b.untilHeard(publish)

	c.Node(0).Restart()
	c.WaitReady()
	b.untilHeard(publish)
	if strings.Contains(b.log.String(), "hunter2") {
		t.Error("the password was told")
	}
}

// A user that may not ask for the nodes listens at one of the URL.
func TestClusterWithoutPermission(t *testing.T) {
	c := redistest.StartCluster(t, "--user", "bridge", "on", ">pw", "resetchannels", "&laravel_database_*", "+psubscribe", "+ping")
	_, publish := app(t, c.URL())
	b := start(t, Options{URL: c.URLAs("bridge", "pw"), Sources: laravel})
	b.untilUp()
	b.untilHeard(publish)

	for name, test := range map[string]struct{ url, want string }{
		"password":   {c.URLAs("bridge", "hunter2"), "check the user and the password"},
		"no Cluster": {redistest.Start(t).URL() + "?cluster=true", "cluster support disabled"},
	} {
		err := Ping(context.Background(), test.url)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

// A node that can't reach most of the masters hears nothing of what they hear.
func TestClusterCutOff(t *testing.T) {
	c := redistest.StartCluster(t)
	url := c.Node(0).URL() + "?cluster=true"
	b := start(t, Options{URL: url, Sources: laravel, PingInterval: 100 * time.Millisecond})
	b.untilUp()
	for i := 1; i < 6; i++ {
		c.Node(i).Freeze()
	}
	b.untilDown(errCutOff.Error())
	for i := 1; i < 6; i++ {
		c.Node(i).Thaw()
	}
	b.untilUp()
}

func TestReadNodes(t *testing.T) {
	const (
		a = "a 10.0.0.1:6379@16379,one.example myself,master - 0 0 1 connected 0-5460\n"
		b = "b 10.0.0.2:6379@16379 master - 0 0 2 connected 5461-10922\n"
		c = "c fd00::3:6379@16379 master,fail? - 0 0 3 connected 10923-16383\n"
		d = "d 10.0.0.4:6379@16379 slave a 0 0 1 connected\n"
		e = "e :0@0 master,noaddr - 0 0 4 disconnected\n"
	)
	for name, test := range map[string]struct {
		text  string
		addrs string
		ok    bool
	}{
		"a majority":           {a + b + c + d + e, "10.0.0.1:6379 10.0.0.2:6379 10.0.0.4:6379", true},
		"half":                 {a + c, "10.0.0.1:6379", false},
		"one of three":         {a + strings.ReplaceAll(b, "master", "master,fail") + c, "10.0.0.1:6379", false},
		"IPv6":                 {a + b + strings.ReplaceAll(c, ",fail?", ""), "10.0.0.1:6379 10.0.0.2:6379 [fd00::3]:6379", true},
		"a node of no Cluster": {"a :6379@16379 myself,master - 0 0 0 connected\n", "", false},
	} {
		addrs, ok := readNodes(test.text)
		if got := strings.Join(addrs, " "); got != test.addrs || ok != test.ok {
			t.Errorf("%s: got %q, %t", name, got, ok)
		}
	}
}

// What is kept in Redis survives a failover, with the client that was made
// before it.
func TestClientFailover(t *testing.T) {
	set := func(client redis.UniversalClient) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return client.Set(ctx, "k", "v", 0).Err()
	}
	t.Run("Sentinel", func(t *testing.T) {
		s := redistest.StartSentinels(t)
		client, _ := app(t, s.URL())
		if err := set(client); err != nil {
			t.Fatal(err)
		}
		killed := s.KillMaster()
		until(t, "the new master", func() bool { return set(client) == nil })
		killed.Restart()
		s.WaitReady()
		s.FreezeMaster()
		until(t, "the one after the frozen one", func() bool { return set(client) == nil })
	})
	t.Run("Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t)
		client, _ := app(t, c.URL())
		if err := set(client); err != nil {
			t.Fatal(err)
		}
		killed := c.KillMasterOf("k")
		until(t, "the new master", func() bool { return set(client) == nil })
		killed.Restart()
		c.WaitReady()
		c.FreezeMasterOf("k")
		until(t, "the one after the frozen one", func() bool { return set(client) == nil })
	})
}

func TestNewClient(t *testing.T) {
	ctx := context.Background()
	server := redistest.Start(t, "--user", "node", "on", ">pw", "~broadcastd:*", "+@all", "-@connection", "+select")
	addr := tlsInFrontOf(t, server.Addr())
	client, err := NewClient("rediss://node:pw@"+addr+"/3?skip_verify=true", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Set(ctx, "broadcastd:k", "v", 0).Err(); err != nil {
		t.Errorf("over TLS, as a user: %v", err)
	}
	if err := client.Set(ctx, "k", "v", 0).Err(); !redis.IsPermissionError(err) {
		t.Errorf("a key that the user may not write: %v", err)
	}
	in3 := server.Client(func(o *redis.Options) { o.DB = 3 })
	if got := in3.Get(ctx, "broadcastd:k").Val(); got != "v" {
		t.Errorf("database 3 has %q", got)
	}

	untrusting, err := NewClient("rediss://node:pw@"+addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer untrusting.Close()
	if err := untrusting.Get(ctx, "broadcastd:k").Err(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with an unknown CA: got %v", err)
	}

	if _, err := NewClient("redis://:hun/ter2@"+addr, 2); err == nil || strings.Contains(err.Error(), "ter2") {
		t.Errorf("a bad URL: got %v", err)
	}
}

// A command's context bounds it when Redis hangs, and nothing is tried twice.
func TestNewClientGivesUp(t *testing.T) {
	server := redistest.Start(t)
	client, _ := app(t, server.URL())
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	server.Freeze()
	if err := client.Incr(ctx, "n").Err(); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
	server.Thaw()
	if got := server.Client().Get(context.Background(), "n").Val(); got != "" && got != "1" {
		t.Errorf("incremented to %s", got)
	}
}

// A Cluster tells clients over TLS other ports of its nodes.
func TestClusterOverTLS(t *testing.T) {
	c := redistest.StartCluster(t, redistest.TLSArgs(t)...)
	url := "rediss://" + c.Node(0).TLSAddr() + "?cluster=true"
	if err := Ping(context.Background(), url); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with an unknown CA: got %v", err)
	}
	url += "&skip_verify=true"
	_, publish := app(t, url)
	b := start(t, Options{URL: url, Sources: laravel})
	b.untilUp()
	b.untilHeard(publish)
	c.Node(0).Kill()
	b.untilDown("")
	b.untilUp()
	b.untilHeard(publish)
	b.untilLogged("redis subscribed again")
}
