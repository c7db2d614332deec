package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/redisbridge"
	"broadcastd/test/redistest"
)

// writeNodes is what the nodes of app 1 leave in Redis.
func writeNodes(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	ctx := context.Background()
	now := client.Time(ctx).Val()
	pipe := client.Pipeline()
	pipe.ZAdd(ctx, "b:{1:0}:nodes",
		redis.Z{Member: "g2", Score: float64(now.Add(time.Hour).UnixMilli())},
		redis.Z{Member: "g1", Score: float64(now.Add(time.Minute).UnixMilli())},
		redis.Z{Member: "g3", Score: float64(now.Add(-time.Second).UnixMilli())})
	pipe.HSet(ctx, "b:{1:0}:info",
		"g1", `{"name":"two","version":"v1","started":1700000000123,"connections":7}`,
		"g2", `{"name":"one","version":"v2","started":1700000001000,"connections":0}`,
		"g9", `{"name":"left"}`)
	pipe.Set(ctx, "b:{1:0}:keeper", "g1", 0)
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestNodes(t *testing.T) {
	ctx := context.Background()
	single := redistest.Start(t).URL()
	for name, url := range map[string]string{"single": single, "Cluster": redistest.StartCluster(t).URL()} {
		client, err := redisbridge.NewClient(url, 4)
		must(t, err)
		t.Cleanup(func() { _ = client.Close() })
		writeNodes(t, client)
		nodes, err := Nodes(ctx, client, "b:", "1")
		if err != nil || len(nodes) != 3 {
			t.Fatalf("%s: got %+v, %v", name, nodes, err)
		}
		dead, one, two := nodes[0], nodes[1], nodes[2] // one that said nothing has no name
		if dead.Generation != "g3" || dead.Left != 0 || dead.Keeper || !dead.Since.IsZero() {
			t.Errorf("%s: the dead one is %+v", name, dead)
		}
		if one.Left <= 30*time.Minute || one.Left > time.Hour || one.Keeper || one.Connections != 0 {
			t.Errorf("%s: one is %+v", name, one)
		}
		one.Left = 0
		if want := (NodeInfo{Name: "one", Generation: "g2", Version: "v2", Since: time.UnixMilli(1700000001000)}); one != want {
			t.Errorf("%s: one is %+v, want %+v", name, one, want)
		}
		two.Left = 0
		if want := (NodeInfo{"two", "g1", "v1", time.UnixMilli(1700000000123), 7, 0, true}); two != want {
			t.Errorf("%s: two is %+v, want %+v", name, two, want)
		}
		if others, err := Nodes(ctx, client, "b:", "2"); err != nil || len(others) != 0 {
			t.Errorf("%s: another app has %+v, %v", name, others, err)
		}
	}
}

func TestNodesOfAnotherKind(t *testing.T) {
	ctx := context.Background()
	client := redistest.Start(t).Client()
	writeNodes(t, client)
	client.HSet(ctx, "b:{1:0}:info", "g1", "no JSON")
	if _, err := Nodes(ctx, client, "b:", "1"); err == nil || !strings.Contains(err.Error(), `"g1" says in b:{1:0}:info`) {
		t.Errorf("no JSON: got %v", err)
	}
	client.Set(ctx, "b:{1:0}:nodes", "text", 0)
	if _, err := Nodes(ctx, client, "b:", "1"); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("another type: got %v", err)
	}
}
