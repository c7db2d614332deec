package main

import (
	"context"
	"fmt"
)

const (
	maxDelivery = 50   // ms
	minRate     = 1000 // events a second
	fanOutRate  = 20
	// streamRate is a little more than is demanded, so that what arrives can be
	// compared with the demand.
	streamRate = 1100
)

// measureRedis publishes as Laravel's redis broadcaster does.
func measureRedis(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		return b.deliver(ctx, s, redisPublisher(s.client))
	})
}

// measureHTTP publishes as Pusher's server libraries do.
func measureHTTP(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		return b.deliver(ctx, s, httpPublisher(s.addr, benchApp))
	})
}

// deliver measures the feed that everybody follows, and one busy client.
func (b *bench) deliver(ctx context.Context, s *stack, publish publisher) ([]figure, error) {
	all, err := gather(ctx, b.arrival(s, b.subscribers, everybodysChannel))
	if err != nil {
		return nil, err
	}
	defer all.disperse()
	fanOut, err := b.fanOut(fanOutRate).run(ctx, all, publish)
	if err != nil {
		return nil, err
	}
	one, err := gather(ctx, b.arrival(s, 1, userChannel))
	if err != nil {
		return nil, err
	}
	defer one.disperse()
	stream, err := load{streamRate, b.duration, eventSize, userChannels(1)}.run(ctx, one, publish)
	if err != nil {
		return nil, err
	}
	figures := fanOut.figures(fmt.Sprintf("%s subscribers, %d/s: ", count(b.subscribers), fanOutRate))
	what := fmt.Sprintf("1 subscriber, %s/s: ", count(streamRate))
	figures = append(figures, demanded(what+"events a second, received", stream.perSecond, "", atLeast, minRate))
	return append(figures, stream.figures(what)...), nil
}
