package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// inTime is the p99 that a rate must keep.
	inTime        = 100 * time.Millisecond
	minSaturation = 1.6
	// rateReached is the part of the deliveries that a rate promises which must
	// come each second.
	rateReached = 0.95
	// attempts are how often a rate may be tried: the machine has other things
	// to do at times.
	attempts = 2
	// bisections close in on the highest rate that is kept.
	bisections = 3
	// laterStart is where later rounds begin, as a part of what was reached.
	laterStart = 0.7
)

// measureSaturation looks for the most deliveries a second.
func measureSaturation(ctx context.Context, b *bench) ([]figure, error) {
	return b.contend(ctx, b.subscribers, func(c contest) ([]figure, error) {
		var most [2][]float64
		first := [2]int{b.firstRate, b.firstRate}
		var ratios []float64
		for i := range b.rounds {
			for j, t := range []*target{c.daemon, c.floor} {
				rate, perSecond, err := b.saturate(ctx, t, first[j])
				if err != nil {
					return nil, err
				}
				first[j] = max(int(laterStart*float64(rate)), 1)
				most[j] = append(most[j], perSecond)
			}
			ratios = append(ratios, most[0][i]/most[1][i])
		}
		what := fmt.Sprintf("%s subscribers, p99 within %s: ", count(b.subscribers), inTime)
		return []figure{
			told(what+"most deliveries a second", median(most[0]), ""),
			told(what+"those of the floor", median(most[1]), ""),
			demanded(what+"ratio of the two", median(ratios), "", atLeast, minSaturation),
		}, nil
	})
}

// saturate finds the highest rate of publishes that a target keeps, and how
// many deliveries a second these are.
func (b *bench) saturate(ctx context.Context, t *target, first int) (rate int, perSecond float64, err error) {
	rate, err = highest(first, func(rate int) (bool, error) {
		for range attempts {
			l := b.fanOut(rate)
			l.duration /= 2 // there are many
			o, err := l.run(ctx, t.crowd, t.publish)
			if err != nil { // perhaps a client was closed that was too far behind
				b.say("%s, %d/s: %v", t.name, rate, err)
				return false, t.renew(err)
			}
			p99 := o.latencies.percentile(99)
			b.say("%s, %d/s: %s deliveries a second, p99 %.1f ms, %d lost",
				t.name, rate, count(int(o.perSecond)), milliseconds(p99), o.lost)
			if o.lost == 0 && p99 <= inTime && o.perSecond >= rateReached*float64(rate*b.subscribers) {
				perSecond = o.perSecond
				return true, nil
			}
		}
		return false, nil
	})
	if err == nil && rate == 0 {
		err = errors.New("it keeps no rate of publishes")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", t.name, err)
	}
	return rate, perSecond, nil
}

// highest is the highest good rate, within some bisections; 0 if none was
// found. It tries first, then half as much again each time until one is bad.
func highest(first int, good func(rate int) (bool, error)) (int, error) {
	best, bad := 0, 0
	try := func(rate int) error {
		ok, err := good(rate)
		if ok {
			best = rate
		} else {
			bad = rate
		}
		return err
	}
	for rate := first; bad == 0; rate += (rate + 1) / 2 {
		if err := try(rate); err != nil {
			return 0, err
		}
	}
	for i := 0; i < bisections && bad-best > 1; i++ {
		if err := try((best + bad) / 2); err != nil {
			return 0, err
		}
	}
	return best, nil
}
