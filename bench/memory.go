package main

import (
	"context"
	"fmt"
	"time"
)

// The units of memory figures, in bytes.
const (
	kib = 1 << 10
	mib = 1 << 20
)

// holding is a crowd whose memory is of interest.
type holding struct {
	clients  int
	channels []func(i int) string
	kind     string
	limit    float64 // of the daemon's memory for each, in KiB
	reach    bool    // every client then gets an event
}

// measureMemory compares the daemon with and without clients: idle ones, and
// such as the marketplace has. Each crowd has a daemon of its own.
func measureMemory(ctx context.Context, b *bench) ([]figure, error) {
	n := b.possible(b.connections, 1)
	own := []func(int) string{userChannel, jobChannel}
	var figures []figure
	for _, h := range []holding{
		{n, nil, "without a channel", 2.5, false},
		{n, own, "with two private channels", 3.5, false},
		{b.possible(b.most, 1), own, "with two private channels", 3.5, true},
	} {
		more, err := b.withStack(ctx, func(s *stack) ([]figure, error) { return b.hold(ctx, s, h) })
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

func (b *bench) hold(ctx context.Context, s *stack, h holding) ([]figure, error) {
	before, err := s.settled(ctx, 0)
	if err != nil {
		return nil, err
	}
	kernel := kernelMemory()
	c, err := gather(ctx, b.arrival(s, h.clients, h.channels...))
	if err != nil {
		return nil, err
	}
	defer c.disperse()
	after, err := s.settled(ctx, h.clients)
	if err != nil {
		return nil, err
	}
	n := float64(h.clients)
	kernel = kernelMemory() - kernel
	what := fmt.Sprintf("%s clients %s: ", count(h.clients), h.kind)
	figures := []figure{
		demanded(what+"resident memory each", (after.memory-before.memory)/n/kib, "KiB", atMost, h.limit),
		told(what+"resident memory of the process", after.memory/mib, "MiB"),
		told(what+"goroutines each", (after.goroutines-before.goroutines)/n, ""),
		told(what+"descriptors each", (after.descriptors-before.descriptors)/n, ""),
		told(what+"kernel's memory for both ends, each", kernel/n/kib, "KiB"),
	}
	if h.reach {
		o, err := b.reachAll(ctx, s, c)
		if err != nil {
			return nil, err
		}
		what += "an event each: "
		figures = append(figures, told(what+"publish to received, p99", milliseconds(o.latencies.percentile(99)), "ms"))
		figures = append(figures, o.faults(what)...)
	}
	return figures, nil
}

// reachAll sends an event to each client's own channel.
func (b *bench) reachAll(ctx context.Context, s *stack, c *crowd) (outcome, error) {
	n := len(c.clients)
	l := load{b.rate, time.Duration(n) * time.Second / time.Duration(b.rate), eventSize, userChannels(n)}
	return l.run(ctx, c, redisPublisher(s.client))
}

func userChannels(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = userChannel(i)
	}
	return all
}
