package redisbridge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// askTimeout is for one Sentinel's or one Cluster node's answer.
const askTimeout = time.Second

// endpoint is a Redis to subscribe at: a single one, what Sentinels call the
// master, or a Cluster. locate must not be called twice at a time.
type endpoint struct {
	*redis.UniversalOptions
	nodes []string // of the Cluster, as one of them told
}

// String tells people which Redis it is, without its secrets.
func (e *endpoint) String() string {
	addrs := strings.Join(e.Addrs, ",")
	if e.MasterName != "" {
		return e.MasterName + " of " + addrs
	}
	return addrs
}

// locate finds the node to subscribe at: the only one, the master, or any node
// of the Cluster, since all hear what is published at one.
func (e *endpoint) locate(ctx context.Context) (*redis.Options, error) {
	switch {
	case e.MasterName != "":
		return e.askSentinels(ctx)
	case e.IsClusterMode:
		return e.askCluster(ctx)
	}
	return e.at(e.Addrs[0]), nil
}

// at is how to connect to a node. Pub/sub knows no databases, and a user may
// lack SELECT.
func (e *endpoint) at(addr string) *redis.Options {
	node := e.Simple()
	node.Addr, node.DB = addr, 0
	return node
}

// misplaced tells why a node that was located is not the one any more, although
// it may look alive; nil if it is, or nobody can tell.
func (e *endpoint) misplaced(ctx context.Context, node *redis.Options) error {
	switch {
	case e.MasterName != "":
		if master, err := e.askSentinels(ctx); err == nil && master.Addr != node.Addr {
			return fmt.Errorf("the Sentinels made %s the master, instead of %s", master.Addr, node.Addr)
		}
	case e.IsClusterMode:
		if _, err := askNode(ctx, node); errors.Is(err, errCutOff) {
			return err
		}
	}
	return nil
}

// askSentinels goes by the first Sentinel that answers.
func (e *endpoint) askSentinels(ctx context.Context) (master *redis.Options, err error) {
	for _, addr := range e.Addrs {
		sentinel := e.at(addr)
		sentinel.Username, sentinel.Password = e.SentinelUsername, e.SentinelPassword
		addr, failed := askSentinel(ctx, sentinel, e.MasterName)
		if failed == nil {
			return e.at(addr), nil
		}
		err = fmt.Errorf("the Sentinel at %s: %w", sentinel.Addr, failed)
	}
	return nil, err
}

func askSentinel(ctx context.Context, sentinel *redis.Options, master string) (addr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := redis.NewSentinelClient(sentinel)
	defer func() { _ = client.Close() }()
	pair, err := client.GetMasterAddrByName(ctx, master).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("no master is called %q; check master_name in the URL", master)
	case redis.IsAuthError(err), redis.IsPermissionError(err):
		return "", fmt.Errorf("%w; check the user and the password in front of the URL's @, which are for Sentinels", err)
	case err != nil:
		return "", err
	}
	return net.JoinHostPort(pair[0], pair[1]), nil
}

// askCluster tries the configured nodes first, each in its turn of the time, and
// then those that are known by now.
func (e *endpoint) askCluster(ctx context.Context) (node *redis.Options, err error) {
	addrs := slices.Clone(e.Addrs)
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	for _, addr := range append(addrs, e.nodes...) {
		node := e.at(addr)
		nodes, failed := askNode(ctx, node)
		if failed == nil {
			if len(nodes) > 0 {
				e.nodes = nodes
			}
			return node, nil
		}
		err = fmt.Errorf("the Cluster's node at %s: %w", addr, failed)
	}
	return nil, err
}

var errCutOff = errors.New("it has lost most of its Cluster")

// askNode tells the nodes of a node's Cluster, none if the user may not ask, or
// why it is no node to subscribe at.
func askNode(ctx context.Context, node *redis.Options) (nodes []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := redis.NewClient(node)
	defer func() { _ = client.Close() }()
	text, err := client.ClusterNodes(ctx).Result()
	if redis.IsPermissionError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err, "")
	}
	nodes, ok := readNodes(text)
	if !ok {
		return nil, errCutOff
	}
	return nodes, nil
}

// readNodes reads the answer to CLUSTER NODES: addresses, and whether the node
// that gave it sees more than half of the masters. Others keep a majority's
// events from it. A state of "fail" would tell less: all nodes are in it while a
// failover is under way, and hear events all the same.
func readNodes(text string) (addrs []string, ok bool) {
	masters, seen := 0, 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		addr, _, _ := strings.Cut(fields[1], "@")
		flags := strings.Split(fields[2], ",")
		failed := slices.Contains(flags, "fail") || slices.Contains(flags, "fail?")
		if i := strings.LastIndexByte(addr, ':'); i > 0 && !failed {
			addrs = append(addrs, net.JoinHostPort(addr[:i], addr[i+1:]))
		}
		if slices.Contains(flags, "master") && len(fields) > 8 { // it has slots
			masters++
			if !failed {
				seen++
			}
		}
	}
	return addrs, 2*seen > masters
}
