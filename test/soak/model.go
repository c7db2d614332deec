package main

import (
	"fmt"
	"maps"
)

// model is who should be where in a group.
type model struct {
	connections map[*node]int
	subscribers map[string]int             // by channel
	subscribed  map[*node]int              // subscriptions
	members     map[string]map[string]bool // by presence channel
}

func (g *group) model() model {
	m := model{map[*node]int{}, map[string]int{}, map[*node]int{}, map[string]map[string]bool{}}
	for _, c := range g.clients {
		c.mu.Lock()
		if c.node != nil {
			m.connections[c.node]++
			m.subscribed[c.node] += len(c.stays)
		}
		for channel := range c.wants {
			m.subscribers[channel]++
			if isPresence(channel) {
				if m.members[channel] == nil {
					m.members[channel] = map[string]bool{}
				}
				m.members[channel][c.user] = true
			}
		}
		c.mu.Unlock()
	}
	return m
}

func equal(a, b map[string]bool) bool { return maps.Equal(a, b) }

// check is an error unless everybody tells what the model does. Nobody may come or go.
func (g *group) check() error {
	m := g.model()
	for _, n := range g.nodes {
		if err := n.ready(); err != nil {
			return err
		}
	}
	for _, c := range g.clients {
		if err := c.settled(m); err != nil {
			return err
		}
	}
	for _, n := range g.nodes {
		if err := m.api(n); err != nil {
			return err
		}
		if err := m.metrics(n); err != nil {
			return err
		}
	}
	return g.hooks.check(m)
}

// api is an error unless a node's HTTP API tells what the model does.
func (m model) api(n *node) error {
	total := 0
	for _, k := range m.connections {
		total += k
	}
	var connections struct {
		Connections int `json:"connections"`
	}
	if err := n.read("/connections", nil, &connections); err != nil {
		return err
	}
	if connections.Connections != total {
		return fmt.Errorf("node %s tells of %d connections, not %d", n.name, connections.Connections, total)
	}
	var all struct {
		Channels map[string]struct {
			Subscriptions int `json:"subscription_count"`
		} `json:"channels"`
	}
	if err := n.read("/channels", map[string]string{"info": "subscription_count"}, &all); err != nil {
		return err
	}
	got := map[string]int{}
	for name, info := range all.Channels {
		got[name] = info.Subscriptions
	}
	if !maps.Equal(got, m.subscribers) {
		return fmt.Errorf("node %s tells of the subscribers %v, not %v", n.name, got, m.subscribers)
	}
	for channel, members := range m.members {
		var users struct {
			Users []struct {
				ID string `json:"id"`
			} `json:"users"`
		}
		if err := n.read("/channels/"+channel+"/users", nil, &users); err != nil {
			return err
		}
		ids := map[string]bool{}
		for _, u := range users.Users {
			ids[u.ID] = true
		}
		if !maps.Equal(ids, members) {
			return fmt.Errorf("node %s, members of %s: %s", n.name, channel, differ(ids, members))
		}
	}
	return nil
}

// metrics is an error unless a node's gauges tell what the model does, and its
// counters of who came and went agree with them.
func (m model) metrics(n *node) error {
	s, err := n.scrape()
	if err != nil {
		return err
	}
	v := s.values
	now, came, went := v["broadcastd_connections"], v["broadcastd_connections_total"], v["broadcastd_disconnections_total"]
	switch {
	case int(now) != m.connections[n]:
		return fmt.Errorf("node %s: broadcastd_connections is %v, not %d", n.name, now, m.connections[n])
	case came-went != now:
		return fmt.Errorf("node %s counts %v connections and %v disconnections, but has %v", n.name, came, went, now)
	case int(v["broadcastd_subscriptions"]) != m.subscribed[n]:
		return fmt.Errorf("node %s: broadcastd_subscriptions is %v, not %d", n.name, v["broadcastd_subscriptions"], m.subscribed[n])
	case n.group.cluster && int(v["broadcastd_cluster_nodes"]) != len(n.group.nodes):
		return fmt.Errorf("node %s: broadcastd_cluster_nodes is %v", n.name, v["broadcastd_cluster_nodes"])
	}
	return nil
}
