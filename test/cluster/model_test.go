package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadcastd/protocol"
)

// model is who should be where.
type model struct {
	connections int
	subscribers map[string]int             // by channel
	members     map[string]map[string]bool // by presence channel
	signedIn    map[string]int             // connections by user
}

func modelOf(clients []*client) model {
	m := model{len(clients), map[string]int{}, map[string]map[string]bool{}, map[string]int{}}
	for _, c := range clients {
		for _, channel := range c.channels() {
			m.subscribers[channel]++
			if protocol.KindOf(channel).IsPresence() {
				if m.members[channel] == nil {
					m.members[channel] = map[string]bool{}
				}
				m.members[channel][c.user] = true
			}
		}
		if c.watch != nil {
			m.signedIn[c.user]++
		}
	}
	return m
}

// api is an error unless a node's HTTP API tells what the model does.
func (m model) api(n *node) error {
	var connections struct {
		Connections int `json:"connections"`
	}
	if _, err := n.ask(http.MethodGet, "/connections", nil, nil, &connections); err != nil {
		return err
	}
	if connections.Connections != m.connections {
		return fmt.Errorf("node %s tells of %d connections, not %d", n.name, connections.Connections, m.connections)
	}
	var all struct {
		Channels map[string]struct {
			Subscriptions int `json:"subscription_count"`
		} `json:"channels"`
	}
	if _, err := n.ask(http.MethodGet, "/channels", map[string]string{"info": "subscription_count"}, nil, &all); err != nil {
		return err
	}
	got := map[string]int{}
	for name, info := range all.Channels {
		got[name] = info.Subscriptions
	}
	if !maps.Equal(got, m.subscribers) {
		return fmt.Errorf("node %s tells of the channels %v, not %v", n.name, got, m.subscribers)
	}
	for channel, members := range m.members {
		var info struct {
			Users         int `json:"user_count"`
			Subscriptions int `json:"subscription_count"`
		}
		if _, err := n.ask(http.MethodGet, "/channels/"+channel, map[string]string{"info": "user_count,subscription_count"}, nil, &info); err != nil {
			return err
		}
		if info.Users != len(members) || info.Subscriptions != m.subscribers[channel] {
			return fmt.Errorf("node %s tells of %d users and %d subscriptions of %s, not %d and %d",
				n.name, info.Users, info.Subscriptions, channel, len(members), m.subscribers[channel])
		}
		var users struct {
			Users []struct {
				ID string `json:"id"`
			} `json:"users"`
		}
		if _, err := n.ask(http.MethodGet, "/channels/"+channel+"/users", nil, nil, &users); err != nil {
			return err
		}
		ids := map[string]bool{}
		for _, u := range users.Users {
			ids[u.ID] = true
		}
		if !maps.Equal(ids, members) {
			return fmt.Errorf("node %s tells of the users %v of %s, not %v", n.name, list(ids), channel, list(members))
		}
	}
	return nil
}

// told is an error unless a client was told what the model does.
func (m model) told(c *client) error {
	if err := c.settled(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel, j := range c.joined {
		if members := m.members[channel]; members != nil {
			if !maps.Equal(j.members, members) {
				return fmt.Errorf("client %s has the members %v of %s, not %v", c.name, list(j.members), channel, list(members))
			}
		} else if j.count != m.subscribers[channel] {
			return fmt.Errorf("client %s was told of %d subscribers of %s, not %d", c.name, j.count, channel, m.subscribers[channel])
		}
	}
	for _, id := range c.watch {
		if c.online[id] != (m.signedIn[id] > 0) {
			return fmt.Errorf("client %s was told that user %s is online: %t, which is wrong", c.name, id, c.online[id])
		}
	}
	return nil
}

// metrics is an error unless the nodes' metrics add up to the model.
func (m model) metrics(nodes []*node) error {
	var connections, subscriptions float64
	for _, n := range nodes {
		metrics, err := n.metrics()
		if err != nil {
			return err
		}
		connections += sum(metrics, "broadcastd_connections")
		subscriptions += sum(metrics, "broadcastd_subscriptions")
		if known := sum(metrics, "broadcastd_cluster_nodes"); known != float64(len(nodes)) {
			return fmt.Errorf("node %s knows of %v nodes, not %d", n.name, known, len(nodes))
		}
	}
	want := 0
	for _, n := range m.subscribers {
		want += n
	}
	if int(connections) != m.connections || int(subscriptions) != want {
		return fmt.Errorf("metrics tell of %v connections and %v subscriptions, not %d and %d", connections, subscriptions, m.connections, want)
	}
	return nil
}

// redis is an error unless Redis has what the model does, and nothing that is left
// of nodes that are gone.
func (m model) redis(ctx context.Context, client *redis.Client, partitions, nodes int) error {
	totals, members, alive := map[string]int{}, map[string]map[string]bool{}, map[string]bool{}
	ledgers := map[string]bool{}
	for i := range partitions {
		tag := fmt.Sprintf("broadcastd:{%s:%d}:", appID, i)
		generations, err := client.ZRange(ctx, tag+"nodes", 0, -1).Result()
		if err != nil {
			return err
		}
		infos, err := client.HLen(ctx, tag+"info").Result()
		if err != nil {
			return err
		}
		if len(generations) != nodes || int(infos) != nodes {
			return fmt.Errorf("partition %d has %d leases and %d infos, not %d", i, len(generations), infos, nodes)
		}
		dead, err := client.SMembers(ctx, tag+"dead").Result()
		if err != nil {
			return err
		}
		if len(dead) > 0 {
			return fmt.Errorf("partition %d has not cleaned up after %v", i, dead)
		}
		for _, g := range generations {
			alive[tag+"node:"+g] = true
		}
		counts, err := client.HGetAll(ctx, tag+"channels").Result()
		if err != nil {
			return err
		}
		for channel, n := range counts {
			if totals[channel], err = strconv.Atoi(n); err != nil {
				return err
			}
		}
		names, err := client.Keys(ctx, tag+"*").Result()
		if err != nil {
			return err
		}
		for _, name := range names {
			switch {
			case strings.HasPrefix(name, tag+"node:"):
				ledgers[name] = true
			case strings.HasPrefix(name, tag+"members:"):
				ids, err := client.HKeys(ctx, name).Result()
				if err != nil {
					return err
				}
				set := map[string]bool{}
				for _, id := range ids {
					set[id] = true
				}
				members[strings.TrimPrefix(name, tag+"members:")] = set
			}
		}
	}
	want := maps.Clone(m.subscribers)
	want["~"] = m.connections
	for id, n := range m.signedIn {
		want["~"+id] = n
	}
	if m.connections == 0 {
		delete(want, "~")
	}
	if !maps.Equal(totals, want) {
		return fmt.Errorf("Redis has the channels %v, not %v", totals, want)
	}
	if !maps.EqualFunc(members, m.members, maps.Equal[map[string]bool]) {
		return fmt.Errorf("Redis has the members %v, not %v", members, m.members)
	}
	for name := range ledgers {
		if !alive[name] {
			return fmt.Errorf("Redis has the ledger %s of a node that is gone", name)
		}
	}
	return nil
}

// hooks is an error unless webhooks come to what the model has. emptied: Redis
// was, and what ended then may not have been told.
func (m model) hooks(r *receiver, emptied bool) error {
	occupied, members := r.state()
	for channel := range m.subscribers {
		if !occupied[channel] {
			return fmt.Errorf("webhooks don't know that %s is occupied", channel)
		}
		delete(occupied, channel)
	}
	for channel, users := range m.members {
		for id := range users {
			if !members[channel+" "+id] {
				return fmt.Errorf("webhooks don't know that %s is in %s", id, channel)
			}
			delete(members, channel+" "+id)
		}
	}
	if len(occupied)+len(members) > 0 && !emptied {
		return fmt.Errorf("webhooks still have the channels %v and members %v", list(occupied), list(members))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bad) > 0 {
		return fmt.Errorf("webhooks: %v", r.bad)
	}
	return nil
}

// list is a set for people.
func list(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
