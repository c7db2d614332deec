package main

import (
	"context"
	"fmt"
	"time"
)

// How many times the floor's processor time an event may take that has one
// subscriber, by its source.
const (
	maxRedisRatio = 4
	maxHTTPRatio  = 8
)

// measureSingle spreads events over channels that have one subscriber each, as
// a marketplace's do. The floor writes each event to one client, too: to wake up
// for a single one costs both more than the write.
func measureSingle(ctx context.Context, b *bench) ([]figure, error) {
	n := b.possible(b.connections, 2)
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		c, err := gather(ctx, b.arrival(s, n, userChannel))
		if err != nil {
			return nil, err
		}
		defer c.disperse()
		floor, stop, err := b.startFloor(ctx, n, "turns")
		if err != nil {
			return nil, err
		}
		defer stop()
		// Order shows in a channel with two events at least.
		twice := 2 * time.Duration(n) * time.Second / time.Duration(b.rate)
		l := load{b.rate, max(b.duration, twice), eventSize, userChannels(n)}
		var figures []figure
		for _, source := range []struct {
			name     string
			publish  publisher
			maxRatio float64
		}{
			{"Redis", redisPublisher(s.client), maxRedisRatio},
			{"HTTP", httpPublisher(s.addr, benchApp), maxHTTPRatio},
		} {
			daemon := &target{"daemon", s.daemon.pid(), c, source.publish, nil}
			got, err := b.compare(ctx, daemon, l, floor, l)
			if err != nil {
				return nil, err
			}
			what := fmt.Sprintf("%s channels, %s/s through %s: ", count(n), count(b.rate), source.name)
			figures = append(figures,
				told(what+"processor time of an event", got.daemon, "µs"),
				told(what+"that of the floor", got.floor, "µs"),
				demanded(what+"ratio of the two", got.ratio, "", atMost, source.maxRatio),
				told(what+"publish to received, p99", milliseconds(got.outcome.latencies.percentile(99)), "ms"))
			figures = append(figures, got.outcome.faults(what)...)
		}
		return figures, nil
	})
}
