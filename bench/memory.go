package main

import "context"

// The units of memory figures, in bytes.
const (
	kib = 1 << 10
	mib = 1 << 20
)

// maxMemory is what a connection may take.
const maxMemory = mib

// measureMemory compares the daemon with and without clients that have one
// private channel each. What the kernel holds for their sockets is not in it.
func measureMemory(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		before, err := s.settled(ctx, 0)
		if err != nil {
			return nil, err
		}
		c, err := gather(ctx, s.addr, b.connections, connectRate, userChannel)
		if err != nil {
			return nil, err
		}
		defer c.disperse()
		held, err := s.settled(ctx, b.connections)
		if err != nil {
			return nil, err
		}
		n := float64(b.connections)
		what := count(b.connections) + " clients with a private channel: "
		return []figure{
			demanded(what+"resident memory each", (held.memory-before.memory)/n/kib, "KiB", below, maxMemory/kib),
			told(what+"resident memory of the process", held.memory/mib, "MiB"),
			told("no client: resident memory of the process", before.memory/mib, "MiB"),
		}, nil
	})
}
