package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// drain is how long the last events may take before they count as lost.
const drain = 5 * time.Second

// load is events published at a steady rate, whatever happens to them.
type load struct {
	rate     int // events a second
	duration time.Duration
}

func (l load) events() int { return max(int(float64(l.rate)*l.duration.Seconds()), 1) }

// outcome is what became of a load.
type outcome struct {
	// latencies, one for each delivery, count from when its publish began.
	latencies samples
	// perSecond is the slowest subscriber's rate, between its first and last.
	perSecond  float64
	lost       int // deliveries that never came
	duplicated int // that came again
	unordered  int // that came behind a later one
}

// run publishes to subscribers, each of which must get every event.
func (l load) run(ctx context.Context, subscribers []*client, publish publisher) (outcome, error) {
	receivers := make([]*receiver, len(subscribers))
	var wg sync.WaitGroup
	for i, c := range subscribers {
		r := newReceiver(l.events())
		receivers[i] = r
		wg.Go(func() { r.run(c) })
	}
	err := l.publish(ctx, publish)
	deadline := time.Now()
	if err == nil {
		deadline = deadline.Add(drain)
	}
	for _, c := range subscribers {
		err = errors.Join(err, c.nc.SetReadDeadline(deadline))
	}
	wg.Wait()
	for _, c := range subscribers {
		err = errors.Join(err, c.nc.SetReadDeadline(time.Time{}))
	}
	for _, r := range receivers {
		if err == nil {
			err = r.err
		}
	}
	return merge(receivers), err
}

func (l load) publish(ctx context.Context, publish publisher) error {
	start := time.Now()
	for i := range l.events() {
		began, err := wait(ctx, start.Add(time.Duration(i)*time.Second/time.Duration(l.rate)))
		if err != nil {
			return err
		}
		if err := publish(ctx, event{i, began}); err != nil {
			return err
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
