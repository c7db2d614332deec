package cluster

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A Redis that is back before anybody has asked it again looks as if it had never
// been away.
func TestARedisThatWasAwayUnnoticed(t *testing.T) {
	redis := startRedis(t)
	o := nodeOptions{lease: 10 * time.Minute}
	a, b := startNode(t, redis.URL(), o), startNode(t, redis.URL(), o)
	c := b.client()
	must(t, c.join("jobs", ""))
	// Both readers have read something, and are kept from going on.
	for _, n := range []*testNode{a, b} {
		n.cluster.partitions[0].turn.Lock()
	}
	must(t, a.publish("jobs", "first", "x", 0))
	must(t, a.publish("jobs", "read by nobody", "x", 0))
	time.Sleep(100 * time.Millisecond) // for both to have read the first; they pass without, too
	redis.Kill()
	redis.Restart()
	for _, n := range []*testNode{a, b} {
		n.cluster.partitions[0].turn.Unlock()
	}
	eventually(t, "what was kept, and lost", c.hears("read by nobody"))
	for _, name := range []string{"first", "read by nobody"} {
		if n := c.count(name); n != 1 {
			t.Errorf("%s came %d times", name, n)
		}
	}
}

// Ids of a new master whose clock is behind can be lower than those that were read.
func TestANewMasterWhoseClockIsBehind(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{lease: 10 * time.Minute})
	c := a.client()
	must(t, c.join("jobs", ""))
	p := a.cluster.partitions[0]
	add := func(id, name string) {
		t.Helper()
		must(t, redis.Client().XAdd(t.Context(), &goredis.XAddArgs{
			Stream: p.keys.log, ID: id, Values: []any{"channel", "jobs", "event", name, "data", "1"},
		}).Err())
	}
	const later = "99999999999"
	add(later+"000-0", "common")
	add(later+"900-0", "read and lost")
	eventually(t, "both", c.hears("read and lost"))
	p.turn.Lock()
	redis.Kill()
	redis.Restart()
	for _, e := range [][2]string{{later + "000-0", "common"}, {later + "100-0", "new one"}, {later + "200-0", "new two"}} {
		add(e[0], e[1])
	}
	p.turn.Unlock()
	eventually(t, "what the new master has got", c.hears("new two"))
	for _, name := range []string{"common", "new one", "new two"} {
		if n := c.count(name); n != 1 {
			t.Errorf("%s came %d times", name, n)
		}
	}
}
