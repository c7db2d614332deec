package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	slowRate    = 20
	maxSlowdown = 1.5
	// maxSlowMemory is what one may take meanwhile, in KiB: app.max_outbox.
	maxSlowMemory = 1024
)

// measureSlow has some of a channel's subscribers stop reading, until the
// daemon has closed them all, and looks at the others.
func measureSlow(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		c, err := gather(ctx, b.arrival(s, b.subscribers-b.slow, everybodysChannel))
		if err != nil {
			return nil, err
		}
		defer c.disperse()
		var before, during, ratios, memory []float64
		var closed, lost int
		for range b.rounds {
			r, err := b.slowRound(ctx, s, c)
			if err != nil {
				return nil, err
			}
			before, during = append(before, milliseconds(r.before)), append(during, milliseconds(r.during))
			ratios = append(ratios, float64(r.during)/float64(r.before))
			memory = append(memory, r.memory/float64(b.slow)/kib)
			closed += r.closed
			lost += r.lost
		}
		what := fmt.Sprintf("%d of %s stop reading, %s bytes, %d/s: ", b.slow, count(b.subscribers), count(b.slowSize), slowRate)
		return []figure{
			told(what+"the others' p99 before", median(before), "ms"),
			told(what+"the others' p99 until all slow ones are closed", median(during), "ms"),
			demanded(what+"ratio of the two", median(ratios), "", below, maxSlowdown),
			demanded(what+"peak of resident memory, more for each slow one", slices.Max(memory), "KiB", atMost, maxSlowMemory),
			demanded(what+"closed as slow_consumer, in all rounds", float64(closed), "", exactly, float64(b.slow*b.rounds)),
			demanded(what+"lost by the others", float64(lost), "", atMost, 0),
		}, nil
	})
}

type slowRound struct {
	before, during time.Duration // the others' p99
	memory         float64       // by which the daemon's peak is above what it had before, in bytes
	closed, lost   int
}

func (b *bench) slowRound(ctx context.Context, s *stack, others *crowd) (r slowRound, err error) {
	publish := redisPublisher(s.client)
	l := load{slowRate, b.duration, b.slowSize, []string{fanOutChannel}}
	slow, err := gather(ctx, b.arrival(s, b.slow, everybodysChannel))
	if err != nil {
		return r, err
	}
	defer slow.disperse()
	o, err := l.run(ctx, others, publish)
	if err != nil {
		return r, err
	}
	r.before, r.lost = o.latencies.percentile(99), o.lost

	closedBefore, err := s.slowConsumers(ctx)
	if err != nil {
		return r, err
	}
	memory, err := s.daemon.restartPeak()
	if err != nil {
		return r, err
	}
	if err := slow.stopReading(); err != nil {
		return r, err
	}
	var during outcome
	for start := time.Now(); r.closed < b.slow && time.Since(start) < patience; {
		o, err := l.run(ctx, others, publish)
		if err != nil {
			return r, err
		}
		during.merge(o)
		closed, err := s.slowConsumers(ctx)
		if err != nil {
			return r, err
		}
		r.closed = closed - closedBefore
	}
	r.during = during.latencies.percentile(99)
	r.lost += during.lost
	peak, err := s.daemon.peak()
	r.memory = peak - memory
	return r, err
}
