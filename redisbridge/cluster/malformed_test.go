package cluster

import (
	"context"
	"testing"
)

// adds is an API's XADD.
func adds(t *testing.T, n *testNode, fields ...string) {
	t.Helper()
	p := n.cluster.partitions[0]
	must(t, p.client.Do(context.Background(), append([]any{"XADD", p.keys.log, "*"}, anys(fields)...)...).Err())
}

func TestWhatNoClientCouldRead(t *testing.T) {
	a := startNode(t, startRedis(t).URL(), nodeOptions{})
	c := a.client()
	must(t, c.join("cache-jobs", ""))
	for _, from := range []string{"", "nonsense"} {
		adds(t, a, "channel", "cache-jobs", "event", "bad", "raw", "not JSON", "from", from)
		adds(t, a, "channel", "cache-jobs", "event", "bad", "data", "1", "user", "\xff", "from", from)
	}
	adds(t, a, "channel", "cache-jobs", "event", "end", "raw", `{"fine":true}`)
	eventually(t, "the end", c.hears("end"))
	if n := c.count(`"bad"`); n > 0 {
		t.Errorf("a client got what it cannot read: %q", c.heard())
	}
	// From a node it isn't checked, but must not end the keeper.
	adds(t, a, "channel", "cache-jobs", "event", "worse", "raw", "not JSON", "from", "node:1")
	eventually(t, "what a node can't have added", c.hears("worse"))
	must(t, a.cluster.partitions[0].latestSession().save(t.Context()))
}
