package main

import (
	"context"
	"errors"
	"fmt"
)

// target is what a load is for: the daemon, or the floor beside it.
type target struct {
	name    string
	pid     int
	crowd   *crowd
	publish publisher
	// again is how a crowd like the first comes; nil: it can't.
	again func() (*crowd, error)
}

// renew replaces a crowd that is broken because of err, which it returns if
// that isn't so or can't be done.
func (t *target) renew(err error) error {
	if !errors.Is(err, errBroken) || t.again == nil {
		return err
	}
	c, err := t.again()
	if err == nil {
		t.crowd.disperse()
		t.crowd = c
	}
	return err
}

// cost is the processor time that a target takes for each delivery of a load,
// in microseconds.
func (t *target) cost(ctx context.Context, l load) (float64, outcome, error) {
	before, err := cpuTime(t.pid)
	if err != nil {
		return 0, outcome{}, err
	}
	o, err := l.run(ctx, t.crowd, t.publish)
	if err != nil {
		return 0, o, fmt.Errorf("%s: %w", t.name, err)
	}
	after, err := cpuTime(t.pid)
	if err != nil {
		return 0, o, err
	}
	if len(o.latencies) == 0 {
		return 0, o, fmt.Errorf("%s: nothing was delivered", t.name)
	}
	return microseconds(after-before) / float64(len(o.latencies)), o, nil
}

// contest is the daemon beside the floor, each with clients of its own on one
// channel.
type contest struct{ daemon, floor *target }

// contend runs a measurement of both, with n subscribers each and events for
// the daemon coming through Redis.
func (b *bench) contend(ctx context.Context, n int, measure func(contest) ([]figure, error)) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		again := func() (*crowd, error) { return gather(ctx, b.arrival(s, n, everybodysChannel)) }
		c, err := again()
		if err != nil {
			return nil, err
		}
		daemon := &target{"daemon", s.daemon.pid(), c, redisPublisher(s.client), again}
		defer func() { daemon.crowd.disperse() }()
		f, stop, err := b.startFloor(ctx, n)
		if err != nil {
			return nil, err
		}
		defer stop()
		return measure(contest{daemon, f})
	})
}

// costs are processor times of a delivery in microseconds, and their ratio:
// medians, each of its own.
type costs struct {
	daemon, floor, ratio float64
	outcome              outcome // of all the daemon's loads
}

// compare has daemon and floor take turns for some rounds, so that whatever
// else the machine does hits both: times depend on the machine and its load,
// their ratio much less.
func (b *bench) compare(ctx context.Context, daemon *target, ours load, floor *target, floors load) (costs, error) {
	var daemonCosts, floorCosts, ratios []float64
	var sum outcome
	for range b.rounds {
		d, o, err := daemon.cost(ctx, ours)
		if err != nil {
			return costs{}, err
		}
		f, _, err := floor.cost(ctx, floors)
		if err != nil {
			return costs{}, err
		}
		daemonCosts, floorCosts, ratios = append(daemonCosts, d), append(floorCosts, f), append(ratios, d/f)
		sum.merge(o)
	}
	return costs{median(daemonCosts), median(floorCosts), median(ratios), sum}, nil
}

// arrival is n clients that subscribe to some channels each.
func (b *bench) arrival(s *stack, n int, channels ...func(i int) string) arrival {
	return arrival{way: way{addr: s.addr}, clients: n, rate: arrivalRate, loops: b.loops, channels: func(i int) []string {
		names := make([]string, len(channels))
		for j, name := range channels {
			names[j] = name(i)
		}
		return names
	}}
}

// everybodysChannel is the feed that all follow.
func everybodysChannel(int) string { return fanOutChannel }

func (b *bench) fanOut(rate int) load {
	return load{rate: rate, duration: b.duration, size: eventSize, channels: []string{fanOutChannel}}
}
