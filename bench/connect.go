package main

import (
	"context"
	"fmt"
)

const (
	// connectRate is how many clients come in a second.
	connectRate = 500
	maxConnect  = 100 // ms
)

// userChannel is a private channel of a client's own.
func userChannel(i int) string { return fmt.Sprintf("private-user.%d", i) }

func measureConnect(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		c, err := gather(ctx, s.addr, b.connections, connectRate, userChannel)
		if err != nil {
			return nil, err
		}
		defer c.disperse()
		what := fmt.Sprintf("%s clients, %d/s: ", count(b.connections), connectRate)
		return []figure{
			told(what+"dial to established, p50", milliseconds(c.established.percentile(50)), "ms"),
			demanded(what+"dial to established, p99", milliseconds(c.established.percentile(99)), "ms", below, maxConnect),
			told(what+"dial to subscribed, p99", milliseconds(c.subscribed.percentile(99)), "ms"),
		}, nil
	})
}
