package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"
)

// receiver follows what one subscriber gets of a load.
type receiver struct {
	seen        []bool // by event number
	received    int    // how many of seen
	duplicated  int
	unordered   int
	latest      int // the highest number so far
	latencies   samples
	first, last time.Time
	err         error // why the connection ended; a deadline is no reason
}

func newReceiver(events int) *receiver {
	return &receiver{seen: make([]bool, events), latencies: make(samples, 0, events), latest: -1}
}

// run reads until all events have come, or the connection or its time ends.
func (r *receiver) run(c *client) {
	for r.received < len(r.seen) {
		message, err := c.read()
		now := time.Now()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			r.err = fmt.Errorf("a subscriber's connection ended: %w", err)
			return
		}
		if e, ok := parseEvent(message); ok {
			r.take(e, now)
		}
	}
}

func (r *receiver) take(e event, now time.Time) {
	if e.seq >= len(r.seen) {
		return // of an earlier load, by which it was counted as lost
	}
	if r.seen[e.seq] {
		r.duplicated++
		return
	}
	r.seen[e.seq] = true
	r.received++
	if e.seq < r.latest {
		r.unordered++
	}
	r.latest = max(r.latest, e.seq)
	r.latencies = append(r.latencies, now.Sub(e.began))
	if r.first.IsZero() {
		r.first = now
	}
	r.last = now
}

func merge(receivers []*receiver) outcome {
	o := outcome{perSecond: math.Inf(1)}
	for _, r := range receivers {
		o.latencies = append(o.latencies, r.latencies...)
		o.lost += len(r.seen) - r.received
		o.duplicated += r.duplicated
		o.unordered += r.unordered
		o.perSecond = min(o.perSecond, r.perSecond())
	}
	return o
}

func (r *receiver) perSecond() float64 {
	span := r.last.Sub(r.first)
	if span <= 0 {
		return 0
	}
	return float64(r.received-1) / span.Seconds()
}
