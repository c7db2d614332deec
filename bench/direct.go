package main

import (
	"context"
	"fmt"
)

const (
	broadcastRate = 2 // events a second for everybody
	// directRate is no multiple, so that direct messages meet a broadcast at
	// any point.
	directRate = 43
	// maxDirect is the p99 of direct messages as a part of the time that a
	// broadcast takes.
	maxDirect = 1.0 / 3
)

// measureDirect sends messages to one user while a channel with many
// subscribers gets events: of two users, one subscribes to that channel also.
// The user and its publisher are a process of their own, the probe, since this
// one is busy with the broadcasts.
func measureDirect(ctx context.Context, b *bench) ([]figure, error) {
	n := b.possible(b.connections, 1)
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		c, err := gather(ctx, b.arrival(s, n, everybodysChannel))
		if err != nil {
			return nil, err
		}
		defer c.disperse()
		var figures []figure
		for _, u := range []struct {
			name     string
			channels []string
		}{
			{"not subscribed to it", []string{userChannel(1)}},
			{"subscribed to it", []string{userChannel(1), fanOutChannel}},
		} {
			what := fmt.Sprintf("%s subscribers get %d/s, a user %s: ", count(n), broadcastRate, u.name)
			more, err := b.direct(ctx, s, c, what, u.channels)
			if err != nil {
				return nil, err
			}
			figures = append(figures, more...)
		}
		return figures, nil
	})
}

func (b *bench) direct(ctx context.Context, s *stack, c *crowd, what string, channels []string) ([]figure, error) {
	var direct, broadcast, ratios []float64
	var lost int
	for range b.rounds {
		p, err := startProbe(ctx, probe{s.addr, channels, directRate, b.duration})
		if err != nil {
			return nil, err
		}
		o, err := b.fanOut(broadcastRate).run(ctx, c, redisPublisher(s.client))
		found, probeErr := p.result()
		if err == nil {
			err = probeErr
		}
		if err != nil {
			return nil, err
		}
		whole := milliseconds(o.slowest.percentile(50))
		direct, broadcast = append(direct, found.P99), append(broadcast, whole)
		ratios = append(ratios, found.P99/whole)
		lost += found.Lost + o.lost
	}
	return []figure{
		told(what+"direct message, publish to received, p99", median(direct), "ms"),
		told(what+"broadcast, publish to its last receipt, p50", median(broadcast), "ms"),
		demanded(what+"ratio of the two", median(ratios), "", atMost, maxDirect),
		demanded(what+"lost", float64(lost), "", atMost, 0),
	}, nil
}
