package main

import (
	"context"
	"fmt"
)

// deliveryRate is how many deliveries a second there are, whatever the number
// of subscribers.
const deliveryRate = 20_000

// measureCurve shows how the cost of a delivery depends on the number of
// subscribers; --plot draws it.
func measureCurve(ctx context.Context, b *bench) ([]figure, error) {
	daemon, floor := series{Name: "broadcastd"}, series{Name: "a bare write loop"}
	var figures []figure
	for _, n := range b.curve {
		n = b.possible(n, 2)
		more, err := b.contend(ctx, n, func(c contest) ([]figure, error) {
			l := b.fanOut(max(deliveryRate/n, 1))
			got, err := b.compare(ctx, c.daemon, l, c.floor, l)
			if err != nil {
				return nil, err
			}
			daemon.add(float64(n), got.daemon)
			floor.add(float64(n), got.floor)
			what := fmt.Sprintf("%s subscribers, %s/s: ", count(n), count(l.rate))
			return append([]figure{
				told(what+"processor time of a delivery", got.daemon, "µs"),
				told(what+"that of the floor", got.floor, "µs"),
				told(what+"ratio of the two", got.ratio, ""),
			}, got.outcome.faults(what)...), nil
		})
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	if b.plot == "" {
		return figures, nil
	}
	return figures, writePlot(b.plot, plot{
		Title: fmt.Sprintf("Processor time of a delivery, %s deliveries a second", count(deliveryRate)),
		X:     "subscribers of the channel", Y: "µs", Series: []series{daemon, floor},
	})
}
