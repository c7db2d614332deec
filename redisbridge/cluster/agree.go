package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// ErrDisagrees means that this node is configured otherwise than those before it.
var ErrDisagrees = errors.New("scaling.partitions differs from that of the cluster")

// agree reports whether all nodes have the same number of partitions. With another
// one a node would look for channels where the others don't have them.
func (p *partition) agree(ctx context.Context) error {
	key := newKeys(p.options.Prefix, p.node.App, 0).partitions
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	own := strconv.Itoa(p.options.Partitions)
	err := p.client.SetArgs(ctx, key, own, redis.SetArgs{Mode: "NX"}).Err()
	if err == nil || !errors.Is(err, redis.Nil) {
		return err
	}
	theirs, err := p.client.Get(ctx, key).Result()
	if err != nil || theirs == own {
		return err
	}
	return fmt.Errorf("%w: app %s has %s, here it is %s; to change it, stop all nodes and delete the keys that begin with %s{",
		ErrDisagrees, p.node.App, theirs, own, p.options.Prefix)
}

// Disagrees is ErrDisagrees, with what differs, once that has been found.
func (c *Cluster) Disagrees() error {
	for _, p := range c.partitions {
		if _, _, why := p.state(); errors.Is(why, ErrDisagrees) {
			return why
		}
	}
	return nil
}
