package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/redistest"
)

func TestNodes(t *testing.T) {
	ctx := context.Background()
	server := redistest.Start(t)
	client := server.Client()
	expiry := client.Time(ctx).Val().Add(time.Hour).UnixMilli()
	client.ZAdd(ctx, "broadcastd:{app-id:0}:nodes", redis.Z{Member: "g1", Score: float64(expiry)}, redis.Z{Member: "g2", Score: 1})
	client.HSet(ctx, "broadcastd:{app-id:0}:info",
		"g1", `{"name":"web-1:8080","version":"v1.2.3","started":1700000000000,"connections":7}`,
		"g2", `{"name":"web-2:8080","version":"v1.2.3","started":1700000000000,"connections":1}`)
	client.Set(ctx, "broadcastd:{app-id:0}:keeper", "g1", 0)
	env := slices.Concat(app, []string{
		"BROADCASTD_SCALING_REDIS=" + server.URL(), "BROADCASTD_SCALING_ENABLED=true",
		`BROADCASTD_APPS=[{id: empty, key: k, secret: s}]`,
	})

	out, err := command(t, env, "nodes").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `^APP +NODE +GENERATION +VERSION +SINCE +CONNECTIONS +LEASE +KEEPER
app-id +web-1:8080 +g1 +v1.2.3 +2023-11-14 22:13:20 +7 +(59m|1h0m)\S+s +keeper
app-id +web-2:8080 +g2 +v1.2.3 +2023-11-14 22:13:20 +1 +dead *
empty +none *
$`
	if !regexp.MustCompile(want).Match(out) {
		t.Errorf("got\n%s", out)
	}

	out, err = command(t, env, "nodes", "--json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var apps []appNodes
	if err := json.Unmarshal(out, &apps); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if got := fmt.Sprint(apps); !strings.Contains(got, "{web-1:8080 g1 v1.2.3 2023-11-14 22:13:20 +0000 UTC 7 3") || apps[0].Nodes[1].Lease != 0 {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(string(out), `{"app":"empty","nodes":[]}`) {
		t.Errorf("an app without nodes: got %s", out)
	}
}

func TestNodesFails(t *testing.T) {
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"away":     {[]string{"BROADCASTD_SCALING_REDIS=redis://u:hunter2@127.0.0.1:1", "BROADCASTD_SCALING_ENABLED=true"}, "broadcastd: nodes of app app-id, in redis at 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\n"},
		"no Redis": {nil, "broadcastd: no Redis is configured that nodes could share; set scaling.redis or redis.url\n"},
	} {
		cmd := command(t, slices.Concat(app, test.env), "nodes")
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || string(out) != test.want {
			t.Errorf("%s: got %v and %s", name, err, out)
		}
	}
}

func TestStartHearsNothingOfPublish(t *testing.T) {
	server := redistest.Start(t)
	d := startDaemon(t, slices.Concat(app, []string{"BROADCASTD_REDIS_URL=" + server.URL(), "BROADCASTD_REDIS_SOURCE=stream"}))
	if n := server.Client().PubSubNumPat(context.Background()).Val(); n != 0 || strings.Contains(d.out.String(), "by HTTP only") {
		t.Errorf("%d subscriptions, and\n%s", n, d.out)
	}
	d.stop(t)
	if strings.Contains(d.out.String(), "redis subscribed") {
		t.Errorf("it subscribed:\n%s", d.out)
	}
}
