package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// Cluster is a Redis Cluster of three masters with a replica each, which becomes
// the master within seconds when that is gone. Methods are for the test's
// goroutine; they fail the test.
type Cluster struct {
	tb    testing.TB
	nodes group // the first ones began as masters
}

// StartCluster starts it, with further arguments for each node that leave the
// default user as it is, such as "--user". It ends with the test.
func StartCluster(tb testing.TB, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb}
	var buses []string
	for range 2 * clusterMasters {
		_, bus, _ := net.SplitHostPort(freeAddr(tb))
		buses = append(buses, bus)
		c.nodes = append(c.nodes, Start(tb, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1500",
			"--repl-diskless-sync-delay", "0",
		}, args...)...))
	}
	var masters []string // their ids
	for i, node := range c.nodes {
		c.tell(node, "cluster", "set-config-epoch", i+1)
		if i > 0 {
			c.tell(c.nodes[0], "cluster", "meet", "127.0.0.1", node.port(), buses[i])
		}
		if i < clusterMasters {
			c.tell(node, "cluster", "addslotsrange", i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1)
			masters = append(masters, fmt.Sprint(c.tell(node, "cluster", "myid")))
		}
	}
	until(tb, "the nodes to know each other", func() error {
		for _, node := range c.nodes {
			if err := node.sees("cluster_known_nodes:6", "cluster_state:ok"); err != nil {
				return err
			}
		}
		return nil
	})
	for i, node := range c.nodes[clusterMasters:] {
		c.tell(node, "cluster", "replicate", masters[i])
	}
	c.WaitReady()
	return c
}

// tell has a node do something that can't fail.
func (c *Cluster) tell(node *Server, args ...any) (reply any) {
	c.tb.Helper()
	err := node.ask(func(ctx context.Context, client *redis.Client) (err error) {
		reply, err = client.Do(ctx, args...).Result()
		return err
	})
	if err != nil {
		c.tb.Fatal(err)
	}
	return reply
}

// sees is an error unless the lines are among those of CLUSTER INFO.
func (s *Server) sees(lines ...string) error {
	return s.ask(func(ctx context.Context, client *redis.Client) error {
		info, err := client.ClusterInfo(ctx).Result()
		for _, line := range lines {
			if err == nil && !strings.Contains(info, line+"\r\n") {
				err = fmt.Errorf("it doesn't say %s", line)
			}
		}
		return err
	})
}

// URL names all nodes.
func (c *Cluster) URL() string {
	var others strings.Builder
	for _, node := range c.nodes[1:] {
		others.WriteString("&addr=" + node.addr)
	}
	return "redis://" + c.nodes[0].addr + "?cluster=true" + others.String()
}

// URLAs names one node, and has a user and a password.
func (c *Cluster) URLAs(user, password string) string {
	return c.nodes[0].URLAs(user, password) + "?cluster=true"
}

// Node is one of the six nodes.
func (c *Cluster) Node(i int) *Server { return c.nodes[i] }

// Client is a client of the Cluster, closed with the test.
func (c *Cluster) Client() *redis.ClusterClient {
	opt := &redis.ClusterOptions{DisableIdentity: true}
	for _, node := range c.nodes {
		opt.Addrs = append(opt.Addrs, node.addr)
	}
	client := redis.NewClusterClient(opt)
	c.tb.Cleanup(func() { _ = client.Close() })
	return client
}

// MasterOf is the node that has a key.
func (c *Cluster) MasterOf(key string) *Server {
	c.tb.Helper()
	running := c.nodes.running()
	if len(running) == 0 {
		c.tb.Fatal("no node is running")
	}
	slot, ok := c.tell(running[0], "cluster", "keyslot", key).(int64)
	if !ok {
		c.tb.Fatal("a slot is no number")
	}
	masters, err := running[0].masters()
	if err != nil {
		c.tb.Fatal(err)
	}
	return c.nodes.at(masters[slot])
}

// masters are the addresses of the slots' masters, as a node knows them.
func (s *Server) masters() (masters [clusterSlots]string, err error) {
	err = s.ask(func(ctx context.Context, client *redis.Client) error {
		//lint:ignore SA1019 CLUSTER SHARDS gives the port of plain TCP and that of TLS, and not which is meant.
		ranges, err := client.ClusterSlots(ctx).Result()
		for _, r := range ranges {
			for slot := r.Start; slot <= r.End; slot++ {
				masters[slot] = r.Nodes[0].Addr
			}
		}
		return err
	})
	return masters, err
}

// KillMasterOf kills the node that has a key and returns it, for Restart.
func (c *Cluster) KillMasterOf(key string) *Server {
	c.tb.Helper()
	master := c.MasterOf(key)
	master.Kill()
	return master
}

// FreezeMasterOf freezes the node that has a key and returns it, for Thaw.
func (c *Cluster) FreezeMasterOf(key string) *Server {
	c.tb.Helper()
	master := c.MasterOf(key)
	master.Freeze()
	return master
}

// WaitReady waits until all nodes that run agree that each slot has a running
// master, and those that are none are replicas up to date.
func (c *Cluster) WaitReady() {
	c.tb.Helper()
	until(c.tb, "the Cluster", c.ready)
}

func (c *Cluster) ready() error {
	running := c.nodes.running()
	if len(running) == 0 {
		return errors.New("no node is running")
	}
	want, err := running[0].masters()
	if err != nil {
		return err
	}
	master := map[string]bool{}
	for slot, addr := range want {
		if running.at(addr) == nil {
			return fmt.Errorf("slot %d is at %q, which doesn't run", slot, addr)
		}
		master[addr] = true
	}
	for _, node := range running {
		got, err := node.masters()
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("redis-server on %s disagrees about the slots", node.addr)
		}
		if err := node.sees("cluster_state:ok"); err != nil {
			return err
		}
		if master[node.addr] {
			continue
		}
		if err := node.linked(); err != nil {
			return err
		}
	}
	return nil
}
