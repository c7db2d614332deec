package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
)

// saveEvery is how often a node by itself notes how far it has read.
const saveEvery = 2 * time.Second

// Listen delivers an app's logs without sharing anything: a source of events for a
// daemon by itself. Of the node it needs App, MaxEventSize and Deliver. Before Run.
func (c *Cluster) Listen(n channels.Node) {
	for i := range c.options.Partitions {
		p := newPartition(c, n, i)
		p.solo = true
		c.partitions = append(c.partitions, p)
	}
}

// listen is session for a node by itself.
func (p *partition) listen(ctx context.Context, cancel context.CancelCauseFunc) error {
	id, err := p.client.Get(ctx, p.keys.position).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if err := p.find(ctx, beat{checkpoint: id}); err != nil {
		return err
	}
	p.begin(cancel, beat{})
	saving := make(chan struct{})
	go func() {
		defer close(saving)
		for {
			if pause(ctx, saveEvery); ctx.Err() != nil {
				return
			}
			if err := p.savePosition(ctx); err != nil {
				cancel(err)
				return
			}
		}
	}()
	cancel(p.read(ctx))
	<-saving
	return context.Cause(ctx)
}

// savePosition notes how far the log was read, from where the next start reads on,
// and cuts the log to its length.
func (p *partition) savePosition(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	p.turn.Lock()
	at := p.at
	p.turn.Unlock()
	pipe := p.client.Pipeline()
	pipe.Set(ctx, p.keys.position, at.String(), 0)
	pipe.XTrimMaxLenApprox(ctx, p.keys.log, int64(p.options.LogLength), 0)
	_, err := pipe.Exec(ctx)
	return err
}
