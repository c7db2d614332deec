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

	fanOutChannel = "jobs.discovery"
	streamChannel = "private-user.1"
)

// measureRedis publishes as Laravel's redis broadcaster does.
func measureRedis(ctx context.Context, b *bench) ([]figure, error) {
	return b.deliveries(ctx, func(s *stack, channel string) publisher {
		return redisPublisher(s.client, channel)
	})
}

// measureHTTP publishes as Pusher's server libraries do.
func measureHTTP(ctx context.Context, b *bench) ([]figure, error) {
	return b.deliveries(ctx, func(s *stack, channel string) publisher {
		return httpPublisher(s.addr, benchApp, channel)
	})
}

// deliveries measures the feed that everybody follows, and one busy client.
func (b *bench) deliveries(ctx context.Context, publish func(*stack, string) publisher) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		fanOut, err := b.deliver(ctx, s, fanOutChannel, b.subscribers, fanOutRate, publish(s, fanOutChannel))
		if err != nil {
			return nil, err
		}
		stream, err := b.deliver(ctx, s, streamChannel, 1, streamRate, publish(s, streamChannel))
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("%s subscribers, %d/s: ", count(b.subscribers), fanOutRate)
		figures := fanOut.figures(what)
		what = fmt.Sprintf("1 subscriber, %s/s: ", count(streamRate))
		figures = append(figures, demanded(what+"events a second, received", stream.perSecond, "", atLeast, minRate))
		return append(figures, stream.figures(what)...), nil
	})
}

func (b *bench) deliver(ctx context.Context, s *stack, channel string, subscribers, rate int, publish publisher) (outcome, error) {
	c, err := gather(ctx, s.addr, subscribers, roundRate, func(int) string { return channel })
	if err != nil {
		return outcome{}, err
	}
	defer c.disperse()
	return load{rate, b.duration}.run(ctx, c.clients, publish)
}

func (o outcome) figures(what string) []figure {
	return []figure{
		told(what+"publish to received, p50", milliseconds(o.latencies.percentile(50)), "ms"),
		demanded(what+"publish to received, p99", milliseconds(o.latencies.percentile(99)), "ms", below, maxDelivery),
		demanded(what+"lost, of "+count(len(o.latencies)+o.lost), float64(o.lost), "", atMost, 0),
		demanded(what+"twice or out of order", float64(o.duplicated+o.unordered), "", atMost, 0),
	}
}
