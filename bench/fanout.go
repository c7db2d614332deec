package main

import (
	"context"
	"fmt"
)

const fanOutChannel = "jobs.discovery"

// fanOuts are rates of publishes a second, and how many times the floor's
// processor time a delivery may take: at the higher one frames gather, and
// those for one connection leave in one call.
var fanOuts = []struct {
	rate     int
	maxRatio float64
}{{20, 1.15}, {80, 1.0}}

// measureFanOut compares the daemon with a program that does nothing but write
// the same frames to as many sockets.
func measureFanOut(ctx context.Context, b *bench) ([]figure, error) {
	return b.contend(ctx, b.subscribers, func(c contest) ([]figure, error) {
		var figures []figure
		for _, f := range fanOuts {
			l := b.fanOut(f.rate)
			got, err := b.compare(ctx, c.daemon, l, c.floor, l)
			if err != nil {
				return nil, err
			}
			what := fmt.Sprintf("%s subscribers, %d/s: ", count(b.subscribers), f.rate)
			figures = append(figures,
				told(what+"processor time of a delivery", got.daemon, "µs"),
				told(what+"that of the floor", got.floor, "µs"),
				demanded(what+"ratio of the two", got.ratio, "", atMost, f.maxRatio))
			figures = append(figures, got.outcome.faults(what)...)
		}
		return figures, nil
	})
}
