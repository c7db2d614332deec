package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// arrivalRate is how many clients come in a second, wherever they come.
	arrivalRate   = 2000
	maxConnect    = 50  // ms
	maxConnectCPU = 200 // µs
)

// userChannel and jobChannel are private channels of a client's own.
func userChannel(i int) string { return fmt.Sprintf("private-user.%d", i) }
func jobChannel(i int) string  { return fmt.Sprintf("private-job.%d", i) }

func measureConnect(ctx context.Context, b *bench) ([]figure, error) {
	var cpu, established50, established99, subscribed99 []float64
	n := b.possible(b.connections, 1)
	for range b.rounds {
		// Each round has a daemon that has seen nobody before.
		_, err := b.withStack(ctx, func(s *stack) ([]figure, error) {
			before, err := cpuTime(s.daemon.pid())
			if err != nil {
				return nil, err
			}
			c, err := gather(ctx, b.arrival(s, n, userChannel))
			if err != nil {
				return nil, err
			}
			defer c.disperse()
			after, err := cpuTime(s.daemon.pid())
			if err != nil {
				return nil, err
			}
			established := c.times(func(c *client) time.Duration { return c.established })
			subscribed := c.times(func(c *client) time.Duration { return c.subscribed })
			cpu = append(cpu, microseconds(after-before)/float64(n))
			established50 = append(established50, milliseconds(established.percentile(50)))
			established99 = append(established99, milliseconds(established.percentile(99)))
			subscribed99 = append(subscribed99, milliseconds(subscribed.percentile(99)))
			return nil, nil
		})
		if err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("%s clients, %s/s: ", count(n), count(arrivalRate))
	return []figure{
		demanded(what+"processor time until subscribed to a private channel", median(cpu), "µs", atMost, maxConnectCPU),
		told(what+"dial to established, p50", median(established50), "ms"),
		demanded(what+"dial to established, p99", median(established99), "ms", below, maxConnect),
		told(what+"dial to subscribed, p99", median(subscribed99), "ms"),
	}, nil
}
