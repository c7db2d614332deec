package cluster

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"broadcastd/channels"
	"broadcastd/protocol"
	"broadcastd/test/proxy"
)

// held takes what is to be declared of a channel as the writer would, so that a
// test decides when the answer comes. before is what happens in the channel.
func (p *partition) held(name string, before func()) []change {
	p.mu.Lock()
	p.holdingOf(name).queued = true // which keeps the writer from it
	p.mu.Unlock()
	before()
	p.mu.Lock()
	defer p.mu.Unlock()
	return []change{p.declaration(p.channels[name])}
}

// send gives a declaration to Redis. The function that it returns has the node
// hear the answer.
func (p *partition) send(t *testing.T, changes []change) func() error {
	t.Helper()
	p.mu.Lock()
	generation, s := p.generation, p.latest
	p.mu.Unlock()
	names, args := p.declareArgs(generation, false, changes)
	cmd := declareScript.Run(t.Context(), p.client, names, args...)
	must(t, cmd.Err())
	return func() error { return s.declared(cmd, generation, changes) }
}

func TestWhatIsReadWaitsForAnswers(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, bob.join(room, "bob"))
	p := a.cluster.partitions[0]
	answered := p.fly() // as the writer does
	answer := p.send(t, p.held(room, func() {
		p.join(room, &protocol.Member{UserID: "ann"}, func(r []byte, _ error) { a.hub.Enter(ann, room, r) })
	}))
	must(t, b.client().join(room, "cid"))
	bob.leave(room)
	must(t, b.publish(room, "after", "x", 0))
	must(t, b.cluster.partitions[0].catchUp(t.Context()))
	must(t, answer())
	answered()
	eventually(t, "what was published after the join", ann.hears(`"after"`))
	got := ann.heard()
	for i, want := range []string{`\"count\":2`, `member_added`, `member_removed`, `"after"`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("message %d is %s, want %s in it", i, got[i], want)
		}
	}
}

func TestAHoldingStaysWhileItIsDeclared(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	p := a.cluster.partitions[0]
	first := a.client()
	must(t, first.join("jobs", ""))
	left := p.held("jobs", func() { first.leave("jobs") })
	leftAgain := p.held("jobs", func() { p.join("jobs", nil, nil).Leave() })
	answer := p.send(t, left)
	p.send(t, leftAgain)
	must(t, answer())
	must(t, a.client().join("jobs", ""))
	p.turn.Lock()
	p.enter(&leftAgain[0], nil, nil)
	p.turn.Unlock()
	must(t, a.client().join("jobs", ""))
	info, err := a.app.Info(t.Context(), "jobs")
	if err != nil || info.Subscriptions != 2 {
		t.Errorf("two subscribers are %+v, %v", info, err)
	}
}

func TestWhatIsAnsweredAloneAsRedisComesBack(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	p := a.cluster.partitions[0]
	// Redis was away when the writer took it, and has come back since.
	p.mu.Lock()
	h := p.holdingOf("jobs")
	h.queued = true
	p.mu.Unlock()
	p.join("jobs", nil, nil)
	p.answerAlone([]operation{{channel: h}}, channels.ErrAway)
	eventually(t, "it is declared", func() bool {
		info, err := a.app.Info(t.Context(), "jobs")
		return err == nil && info.Subscriptions == 1
	})
}

func TestAnAnswerOfAnotherSession(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	must(t, b.client().join(room, "bob"))
	p := a.cluster.partitions[0]
	roster := make(chan string, 1)
	answer := p.send(t, p.held(room, func() {
		p.join(room, &protocol.Member{UserID: "ann"}, func(r []byte, _ error) { roster <- string(r) })
	}))
	redis.Kill()
	eventually(t, "Redis is away", func() bool { return !a.up() })
	redis.Restart()
	eventually(t, "Redis is back, empty", a.up)
	must(t, answer())
	if got := <-roster; !strings.Contains(got, "ann") {
		t.Errorf("the roster of one who came meanwhile is %s", got)
	}
	eventually(t, "all are in the new Redis", func() bool {
		users, err := a.app.Users(t.Context(), room)
		return err == nil && len(users) == 2
	})
	eventually(t, "and known here", func() bool {
		got := string(a.app.Roster(room))
		return strings.Contains(got, "ann") && strings.Contains(got, "bob")
	})
}

func TestARedisThatHasLostDeclarations(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{lease: 10 * time.Minute})
	must(t, a.client().join("jobs", ""))
	p := a.cluster.partitions[0]
	// As after a failover that no connection of this node's noticed.
	must(t, p.client.Del(t.Context(), p.keys.channels, p.keys.ledger(p.generationNow())).Err())
	must(t, a.client().join("others", ""))
	eventually(t, "all is declared anew", func() bool {
		all, err := a.app.Occupied(t.Context(), "")
		return err == nil && all["jobs"].Subscriptions == 1 && all["others"].Subscriptions == 1
	})
}

func TestGoneOnce(t *testing.T) {
	p := startNode(t, startRedis(t).URL(), nodeOptions{}).cluster.partitions[0]
	before := p.generationNow()
	p.setDown(gone(before))
	after := p.generationNow()
	p.setDown(gone(before)) // as the writer and the lease find out, each by itself
	if again := p.generationNow(); after == before || again != after {
		t.Errorf("generations were %s, %s, %s", before, after, again)
	}
}

func TestAnswersAreActedOnInTheirPlaces(t *testing.T) {
	p := newPartition(&Cluster{options: Options{Log: slog.New(slog.DiscardHandler)}}, channels.Node{}, 0)
	s := &session{partition: p}
	p.up, p.latest = true, s
	var acted []int
	for _, n := range []uint64{3, 1, 2, 2} {
		s.after(position{n, 0}, func() { acted = append(acted, int(n)) })
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	p.at = position{2, 0}
	p.settle(false)
	if !slices.Equal(acted, []int{1, 2, 2}) || len(p.results) != 1 {
		t.Errorf("acted on %v, and %d wait", acted, len(p.results))
	}
}

func TestWhatCameAndWentWithoutRedisLeavesNothing(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	p := a.cluster.partitions[0]
	stays := a.client()
	must(t, stays.join(room, "ann"))
	redis.Kill()
	eventually(t, "Redis is away", func() bool { return !a.up() })
	for i := range 10 {
		c := a.client()
		must(t, c.join(fmt.Sprint("presence-", i), "bob"))
		c.leave(fmt.Sprint("presence-", i))
	}
	eventually(t, "one channel, with its member", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.channels) == 1 && len(p.channels[room].users) == 1
	})
}

func TestWhoComesWithoutRedisHearsTheCount(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{lease: time.Minute, counts: true})
	before, after := a.client(), a.client()
	must(t, before.join("jobs", ""))
	eventually(t, "the first count", before.hears("subscription_count"))
	redis.Freeze()
	eventually(t, "Redis is away", func() bool { return !a.up() })
	must(t, after.join("jobs", ""))
	before.leave("jobs") // so that their number stays
	redis.Thaw()
	eventually(t, "the count", after.hears("subscription_count"))
}

func TestANodeThatHasReadNothingYet(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	b.stop() // cut off while the log is empty
	must(t, a.publish("jobs", "meanwhile", "x", 0))
	p := b.cluster.partitions[0]
	s, err := p.connect(t.Context())
	must(t, err)
	defer s.close()
	must(t, s.find(t.Context(), beat{checkpoint: "99999999999999-0"})) // the keeper has read it
	if p.at != (position{}) {
		t.Errorf("it reads on behind %s, although it has read nothing", p.at)
	}
}

func TestANodeThatStartedWithoutRedis(t *testing.T) {
	redis := startRedis(t)
	client := redis.Client()
	a := startNode(t, redis.URL(), nodeOptions{})
	way, err := proxy.New(redis.Addr())
	must(t, err)
	t.Cleanup(way.Close)
	way.Set(proxy.Drops)
	b := startNode(t, way.URL(), nodeOptions{})
	c := b.client()
	must(t, c.join("jobs", "")) // as b doesn't know better
	must(t, a.publish("jobs", "meanwhile", "x", 0))
	k := a.cluster.partitions[0].keys
	eventually(t, "the keeper's checkpoint is behind it", func() bool {
		last, err := client.XRevRangeN(t.Context(), k.log, "+", "-", 1).Result()
		return err == nil && len(last) == 1 && client.Get(t.Context(), k.position).Val() == last[0].ID
	})
	way.Set(proxy.Passes)
	eventually(t, "the event that came since the node started", c.hears("meanwhile"))
}
