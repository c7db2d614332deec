package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"broadcastd/channels"
	"broadcastd/protocol"
	"broadcastd/test/redistest"
)

func TestRedisRestartedEmpty(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	eventually(t, "member_added", ann.hears("member_added"))

	redis.Kill()
	eventually(t, "both are out of reach", func() bool { return !a.up() && !b.up() })
	if up := valueOf(t, a.registry, "broadcastd_cluster_up"); up != 0 {
		t.Errorf("broadcastd_cluster_up is %v without Redis", up)
	}
	if err := a.publish(room, "e", "x", 0); !errors.Is(err, channels.ErrAway) {
		t.Errorf("publishing without Redis: %v", err)
	}
	cid := a.client()
	must(t, cid.join(room, "cid"))
	if !cid.hears(`\"bob\"`)() || !ann.hears(`\"cid\"`)() {
		t.Error("a client that joins without Redis gets the roster that is known, and is told of to those here")
	}
	a.app.Whisper(&protocol.Event{Channel: room, Name: "client-hello", Data: []byte(`1`), Except: cid.id})
	eventually(t, "a whisper without Redis", ann.hears("client-hello"))
	bob.leave(room)

	redis.Restart()
	eventually(t, "both are back", func() bool { return a.up() && b.up() })
	eventually(t, "the metric tells so", func() bool { return valueOf(t, a.registry, "broadcastd_cluster_up") == 1 })
	dan := b.client()
	eventually(t, "the roster is right", func() bool {
		users, err := b.app.Users(t.Context(), room)
		slices.Sort(users)
		return err == nil && slices.Equal(users, []string{"ann", "cid"})
	})
	eventually(t, "clients hear of who left", ann.hears("member_removed"))
	must(t, dan.join(room, "dan"))
	eventually(t, "and of who comes", ann.hears(`\"dan\"`))
	must(t, b.publish(room, "again", "x", 0))
	for _, c := range []*client{ann, cid, dan} {
		eventually(t, "events", c.hears("again"))
	}
	for _, c := range []*client{ann, cid} {
		if n := c.count(`member_added`); n > 3 {
			t.Errorf("member_added came %d times: %q", n, c.heard())
		}
	}
}

func TestNodesAgreeOnPartitions(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	b := startNode(t, redis.URL(), nodeOptions{partitions: 2})
	if err := b.cluster.Disagrees(); err == nil || !strings.Contains(err.Error(), "app has 1, here it is 2") {
		t.Errorf("a node with another number of partitions: %v", err)
	}
	if err := a.cluster.Disagrees(); err != nil {
		t.Errorf("the first node: %v", err)
	}
}

func TestRedisRestartedWithItsData(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := startNode(t, redis.URL(), nodeOptions{lease: time.Minute}), startNode(t, redis.URL(), nodeOptions{lease: time.Minute})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	p := b.cluster.partitions[0]
	generation := p.generationNow()
	p.turn.Lock() // b doesn't come to read
	must(t, a.publish(room, "before", "x", 0))
	redis.Kill()
	redis.Restart()
	p.turn.Unlock()
	eventually(t, "both are back", func() bool { return a.up() && b.up() })
	must(t, b.publish(room, "after", "x", 0))
	for _, c := range []*client{ann, bob} {
		eventually(t, "the last event", c.hears("after"))
		if n := c.count("before"); n != 1 {
			t.Errorf("what Redis had kept came %d times", n)
		}
		if n := c.count("member_removed"); n != 0 {
			t.Errorf("%d members were told to have left", n)
		}
	}
	if p.generationNow() != generation {
		t.Error("a node whose lease held has begun anew")
	}
}

func TestNodesOverTLS(t *testing.T) {
	redis := redistest.StartCluster(t, redistest.TLSArgs(t)...)
	url := "rediss://" + redis.Node(0).TLSAddr() + "?cluster=true&skip_verify=true"
	a, b := startNode(t, url, nodeOptions{partitions: 3}), startNode(t, url, nodeOptions{partitions: 3})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	must(t, a.publish(room, "hello", "x", 0))
	eventually(t, "an event from the other node", bob.hears("hello"))
	eventually(t, "a member of the other node", ann.hears("member_added"))
}
