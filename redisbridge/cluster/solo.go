package cluster

import (
	"context"
	"errors"
	"sync"
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

// listen is serve for a node by itself.
func (s *session) listen() error {
	ctx := s.ctx
	id, err := s.asking.Get(ctx, s.keys.position).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if err := s.find(ctx, beat{checkpoint: id}); err != nil {
		return err
	}
	s.begin(beat{})
	var all sync.WaitGroup
	all.Go(s.saves)
	all.Go(s.stay)
	s.cancel(s.read(ctx))
	all.Wait()
	return context.Cause(ctx)
}

// saves notes once in a while how far the log was read, until the session ends, or ends
// it.
func (s *session) saves() {
	for {
		if pause(s.ctx, saveEvery); s.ctx.Err() != nil {
			return
		}
		if err := s.savePosition(s.ctx); err != nil {
			s.cancel(err)
			return
		}
	}
}

// savePosition notes how far the log was read, from where the next start reads on,
// and cuts the log to its length.
func (s *session) savePosition(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s.turn.Lock()
	at := s.at
	s.turn.Unlock()
	pipe := s.asking.Pipeline()
	pipe.Set(ctx, s.keys.position, at.String(), 0)
	pipe.XTrimMaxLenApprox(ctx, s.keys.log, int64(s.options.LogLength), 0)
	_, err := pipe.Exec(ctx)
	return err
}
