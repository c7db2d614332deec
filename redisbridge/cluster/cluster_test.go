package cluster

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"broadcastd/channels"
)

const room = "presence-room"

func TestEventsReachEveryNodeInOneOrder(t *testing.T) {
	redis := startRedis(t)
	for _, partitions := range []int{1, 3} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			redis.Restart()
			nodes := []*testNode{}
			for range 3 {
				nodes = append(nodes, startNode(t, redis.URL(), nodeOptions{partitions: partitions}))
			}
			var clients []*client
			for _, n := range nodes {
				c := n.client()
				if err := c.join("jobs", ""); err != nil {
					t.Fatal(err)
				}
				clients = append(clients, c)
			}
			errs := make(chan error, 3)
			for i, n := range nodes {
				go func() {
					for j := range 100 {
						if err := n.publish("jobs", "e", fmt.Sprintf("%d.%d", i, j), clients[0].id); err != nil {
							errs <- err
							return
						}
					}
					errs <- nil
				}()
			}
			for range nodes {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range nodes {
				if err := n.publish("jobs", "end", "end", 0); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range clients {
				eventually(t, "the end", func() bool { return c.count(`"end"`) == 3 })
			}
			if n := len(clients[0].heard()); n != 1+3 {
				t.Errorf("the excluded client got %d messages", n)
			}
			if n := len(clients[1].heard()); n != 1+300+3 {
				t.Errorf("a client got %d messages", n)
			}
			if !slices.Equal(clients[1].heard(), clients[2].heard()) {
				t.Error("two nodes delivered in different orders")
			}
		})
	}
}

func TestMembersAreTheClusters(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{maxMembers: 2}), startNode(t, redis.URL(), nodeOptions{maxMembers: 2})
	ann, bob, bobToo := a.client(), b.client(), a.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	if !bob.hears(`\"ann\":{\"name\":\"ann\"}`)() {
		t.Errorf("the joiner's roster lacks a member of another node: %s", bob.heard())
	}
	eventually(t, "member_added on the other node", ann.hears(`member_added`))
	must(t, bobToo.join(room, "bob"))
	if err := a.client().join(room, "cid"); !errors.Is(err, channels.ErrFull) {
		t.Errorf("a third member of two: %v", err)
	}
	info, err := a.app.Info(t.Context(), room)
	if err != nil || info.Users != 2 || !info.Occupied {
		t.Errorf("info is %+v, %v", info, err)
	}
	eventually(t, "three subscriptions", func() bool {
		info, err := b.app.Info(t.Context(), room)
		return err == nil && info.Subscriptions == 3
	})
	bob.leave(room)
	must(t, b.publish(room, "after", "x", 0))
	eventually(t, "the event after one of two left", ann.hears("after"))
	if ann.count("member_removed") != 0 {
		t.Error("a user who is on another node was told to have left")
	}
	bobToo.leave(room)
	eventually(t, "member_removed", ann.hears("member_removed"))
	if n := ann.count("member_added"); n != 1 {
		t.Errorf("member_added came %d times", n)
	}
	users, err := b.app.Users(t.Context(), room)
	if err != nil || !slices.Equal(users, []string{"ann"}) {
		t.Errorf("users are %q, %v", users, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADeadNodeIsCleanedUpAfter(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	must(t, bob.join("jobs", ""))
	b.app.SignIn("a user\nof two lines")
	b.stop()
	eventually(t, "member_removed", ann.hears("member_removed"))
	eventually(t, "one channel", func() bool {
		all, err := a.app.Occupied(t.Context(), "")
		return err == nil && len(all) == 1 && all[room].Subscriptions == 1 && all[room].Users == 1
	})
	eventually(t, "nothing else", func() bool {
		n, err := redis.Client().HLen(t.Context(), "test:{app:0}:channels").Result()
		return err == nil && n == 1
	})
}

func TestANodeThatLeavesTakesEverythingBack(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{lease: time.Minute}), startNode(t, redis.URL(), nodeOptions{lease: time.Minute})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	b.leave()
	eventually(t, "member_removed", ann.hears("member_removed"))
	keys, err := redis.Client().Keys(t.Context(), "test:*node*").Result()
	if err != nil || len(keys) != 2 { // a's ledger, and nodes
		t.Errorf("keys are %q, %v", keys, err)
	}
}

func TestANodeThatLostItsLeasePutsItsClientsBack(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	b := startNode(t, redis.URL(), nodeOptions{})
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	eventually(t, "member_added", ann.hears("member_added"))
	// b loses its lease as if it had been frozen: another has cleaned up after it.
	p := b.cluster.partitions[0]
	must(t, a.cluster.partitions[0].latestSession().cleanUp(t.Context(), p.generationNow(), true))
	eventually(t, "member_removed", ann.hears("member_removed"))
	eventually(t, "bob is back", func() bool { return ann.count("member_added") == 2 })
	eventually(t, "and knows it", func() bool {
		users, err := a.app.Users(t.Context(), room)
		return err == nil && len(users) == 2
	})
	if n := bob.count("member_removed"); n > 1 {
		t.Errorf("bob heard of %d leaves", n)
	}
}

func (p *partition) generationNow() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.generation
}

// TestCountsOfALargeChannel: over 100 a count is told later, and of all nodes.

func TestCountsOfALargeChannel(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{counts: true}), startNode(t, redis.URL(), nodeOptions{counts: true})
	ann := a.client()
	must(t, ann.join("jobs", ""))
	var others []*client
	for range 60 {
		for _, n := range []*testNode{a, b} {
			c := n.client()
			must(t, c.join("jobs", ""))
			others = append(others, c)
		}
	}
	eventually(t, "the count of all", ann.hears(`{\"subscription_count\":121}`))
	for _, c := range others[:10] {
		c.leave("jobs")
	}
	eventually(t, "the count of those who stay", ann.hears(`{\"subscription_count\":111}`))
}

func TestSignedInUsers(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{partitions: 2}), startNode(t, redis.URL(), nodeOptions{partitions: 2})
	watcher := a.client()
	watch := func(list []string) {
		a.app.Online(list, func(asked, online []string) { a.users.Watch(watcher, asked, online) })
	}
	place := b.app.SignIn("bob")
	eventually(t, "bob is signed in", func() bool {
		n, err := redis.Client().HGet(t.Context(), b.app.(*app).of(userName("bob")).keys.channels, "~bob").Int()
		return err == nil && n == 1
	})
	watch([]string{"bob"})
	eventually(t, "bob is online", watcher.hears("online"))
	place.Leave()
	eventually(t, "bob is offline", watcher.hears("offline"))
	b.app.SignIn("bob")
	eventually(t, "bob is online again", func() bool { return watcher.count(`\"online\"`)+watcher.count(`"online"`) == 2 })
	b.stop()
	eventually(t, "bob's node is dead", func() bool { return watcher.count("offline") == 2 })

	must(t, a.app.Terminate(t.Context(), "bob"))
	if id := <-a.terminated; id != "bob" {
		t.Errorf("terminated %s", id)
	}
	a.app.Connect()
	eventually(t, "a connection", func() bool { n, err := a.app.Connections(t.Context()); return err == nil && n == 1 })
}

func TestCacheChannels(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	must(t, a.publish("cache-x", "e", "the last", 0))
	info, err := a.app.Info(t.Context(), "cache-x")
	if err != nil || string(info.Cached) != `"the last"` {
		t.Errorf("info is %+v, %v", info, err)
	}
	b := startNode(t, redis.URL(), nodeOptions{})
	c := b.client()
	must(t, c.join("cache-x", ""))
	if !c.hears("the last")() {
		t.Errorf("a new node's client got %q", c.heard())
	}
	// All nodes at once: the next one finds it in Redis.
	a.leave()
	b.leave()
	must(t, redis.Client().XTrimMaxLen(t.Context(), "test:{app:0}:log", 0).Err())
	d := startNode(t, redis.URL(), nodeOptions{}).client()
	must(t, d.join("cache-x", ""))
	if !d.hears("the last")() {
		t.Errorf("after all nodes had ended a client got %q", d.heard())
	}
}

// lone is a node that delivers a log by itself.
