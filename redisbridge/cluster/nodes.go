package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// NodeInfo is a node of a cluster, as it tells of itself in Redis.
type NodeInfo struct {
	Name        string
	Generation  string // which start of the node
	Version     string
	Since       time.Time
	Connections int           // of the app
	Left        time.Duration // of its lease, by Redis's clock; none: it is dead
	Keeper      bool          // it does what one node does for all
}

// nodesScript reads all at one time, by one clock.
var nodesScript = redis.NewScript(`
return {
	redis.call('time'),
	redis.call('zrange', KEYS[1], 0, -1, 'withscores'),
	redis.call('hgetall', KEYS[2]),
	redis.call('get', KEYS[3]) or ''
}`)

// Nodes lists an app's nodes by name, as its first partition knows them.
func Nodes(ctx context.Context, client redis.UniversalClient, prefix, app string) ([]NodeInfo, error) {
	k := newKeys(prefix, app, 0)
	reply, err := nodesScript.Run(ctx, client, []string{k.nodes, k.info, k.keeper}).Slice()
	if err != nil {
		return nil, err
	}
	var now, leases, infos []string
	for i, list := range []*[]string{&now, &leases, &infos} {
		if *list, err = stringsOf(reply[i]); err != nil {
			return nil, err
		}
	}
	at, err := redisTime(now)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for pair := range slices.Chunk(infos, 2) {
		texts[pair[0]] = pair[1]
	}
	var nodes []NodeInfo
	for pair := range slices.Chunk(leases, 2) {
		var expiry float64 // as Redis writes a score
		if _, err := fmt.Sscan(pair[1], &expiry); err != nil {
			return nil, fmt.Errorf("the lease of %q in %s is no number", pair[0], k.nodes)
		}
		node := NodeInfo{
			Generation: pair[0],
			Left:       max(0, time.UnixMilli(int64(expiry)).Sub(at)),
			Keeper:     reply[3] == pair[0],
		}
		if err := node.read(texts[pair[0]]); err != nil {
			return nil, fmt.Errorf("what %q says in %s: %w", pair[0], k.info, err)
		}
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b NodeInfo) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since), cmp.Compare(a.Generation, b.Generation))
	})
	return nodes, nil
}

// read takes what a node says of itself; one that has a lease may not have said
// anything yet.
func (n *NodeInfo) read(text string) error {
	if text == "" {
		return nil
	}
	var a about
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err
	}
	n.Name, n.Version, n.Connections, n.Since = a.Name, a.Version, a.Connections, time.UnixMilli(a.Started)
	return nil
}

// redisTime reads the answer to TIME: seconds and microseconds.
func redisTime(parts []string) (time.Time, error) {
	var s, us int64
	if _, err := fmt.Sscan(strings.Join(parts, " "), &s, &us); err != nil {
		return time.Time{}, fmt.Errorf("redis tells the time as %q", parts)
	}
	return time.Unix(s, us*1000), nil
}

// stringsOf reads a list of strings of even length, as a script returns it.
func stringsOf(reply any) ([]string, error) {
	list, ok := reply.([]any)
	texts := make([]string, 0, len(list))
	for _, item := range list {
		text, isText := item.(string)
		ok = ok && isText
		texts = append(texts, text)
	}
	if !ok || len(list)%2 != 0 {
		return nil, fmt.Errorf("redis answers %.100q instead of pairs", fmt.Sprint(reply))
	}
	return texts, nil
}
