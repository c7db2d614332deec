package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// drain is how long the last events may take before they count as lost.
const drain = 5 * time.Second

// load is events published at a steady rate, whatever happens to them.
type load struct {
	rate     int // events a second
	duration time.Duration
	size     int // of an event's data, in bytes
	// channels get the events in turn. Client i of the crowd subscribes to
	// number i, or i modulo their number.
	channels []string
}

func (l load) events() int { return max(int(float64(l.rate)*l.duration.Seconds()), 1) }

// eventsOf is how many of them go to the channel that client i has.
func (l load) eventsOf(i int) int {
	n := len(l.channels)
	return (l.events() - i%n + n - 1) / n
}

// run publishes to a crowd, each of whose clients must get every event of its
// channel.
func (l load) run(ctx context.Context, c *crowd, publish publisher) (outcome, error) {
	run := time.Now().UnixNano()
	tallies := make([]*tally, len(c.loops))
	for i, lo := range c.loops {
		var clients []*client
		for j := i; j < len(c.clients); j += len(c.loops) {
			clients = append(clients, c.clients[j])
		}
		lo.call(func() {
			tallies[i] = newTally(run, clients, func(k int) int { return l.eventsOf(i + k*len(c.loops)) })
			lo.tally, lo.received = tallies[i], 0
		})
	}
	start := time.Now()
	err := l.publish(ctx, run, publish)
	if err == nil {
		err = awaitAll(ctx, tallies)
	}
	var o outcome
	var last time.Time
	for i, lo := range c.loops {
		lo.call(func() {
			lo.tally = nil
			o.bytes += lo.received
		})
		last = o.add(tallies[i], last)
	}
	o.perSecond = float64(len(o.latencies)) / last.Sub(start).Seconds()
	if broken := c.broken(); broken != nil {
		err = broken
	}
	return o, err
}

// runParallel is run with a publisher for each channel, so that events of several
// are published at the same time.
func (l load) runParallel(ctx context.Context, c *crowd, publisherOf func() publisher) (outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queues := map[string]chan event{}
	var workers sync.WaitGroup
	for _, name := range l.channels {
		queue, publish := make(chan event, l.events()), publisherOf()
		queues[name] = queue
		workers.Go(func() {
			for e := range queue {
				if err := publish(ctx, e); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	o, err := l.run(ctx, c, func(ctx context.Context, e event) error {
		queues[e.channel] <- e // has room for all
		return ctx.Err()
	})
	for _, queue := range queues {
		close(queue)
	}
	workers.Wait()
	if failure := context.Cause(ctx); failure != nil {
		err = failure
	}
	return o, err
}

// awaitAll returns when all has come, or the time for that is over.
func awaitAll(ctx context.Context, tallies []*tally) error {
	over := time.After(drain)
	for _, t := range tallies {
		select {
		case <-t.complete:
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l load) publish(ctx context.Context, run int64, publish publisher) error {
	start := time.Now()
	for i := range l.events() {
		began, err := wait(ctx, start.Add(time.Duration(i)*time.Second/time.Duration(l.rate)))
		if err != nil {
			return err
		}
		n := len(l.channels)
		if err := publish(ctx, event{l.channels[i%n], run, i / n, began, l.size}); err != nil {
			return fmt.Errorf("event %d of %d: %w", i+1, l.events(), err)
		}
	}
	return nil
}

// wait returns when something that is due begins. That is now, at the end of
// the wait, whose timer may be a millisecond late; or when it was due if that
// has passed, since who was held up by a slow server must count that too.
func wait(ctx context.Context, due time.Time) (began time.Time, err error) {
	d := time.Until(due)
	if d <= 0 {
		return due, ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return time.Now(), ctx.Err()
}
