package main

import (
	"context"
	"fmt"
)

const (
	// roundRate is how many clients of a round come in a second.
	roundRate = 1000
	// warmUp is the number of rounds after which the daemon has what it keeps
	// for later ones.
	warmUp = 2
	// lately is the number of rounds of whose memory the lowest counts, since
	// it goes up and down by megabytes as the garbage collector comes by.
	lately = 3
	// What may be there at the end and not after the warm-up: some goroutines
	// and descriptors, which come and go, and memory, in bytes for each
	// connection since, that is beyond the collector's noise.
	maxLeft       = 8
	maxMemoryLeft = 4 * kib
)

// measureRounds looks for what reconnecting clients leave behind: in each
// round, clients connect, subscribe, and all leave, every other one without
// unsubscribing before.
func measureRounds(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		after := make([]usage, b.rounds)
		for i := range after {
			var err error
			if after[i], err = s.comeAndGo(ctx, b.perRound); err != nil {
				return nil, fmt.Errorf("round %d: %w", i+1, err)
			}
		}
		warm, last := after[warmUp-1], after[b.rounds-1]
		for _, u := range after[max(b.rounds-lately, warmUp):] {
			last.memory = min(last.memory, u.memory)
		}
		since := float64((b.rounds - warmUp) * b.perRound)
		what := fmt.Sprintf("%d rounds of %d clients: ", b.rounds, b.perRound)
		return []figure{
			demanded(what+"goroutines more than after round 2", last.goroutines-warm.goroutines, "", atMost, maxLeft),
			demanded(what+"descriptors more than after round 2", last.descriptors-warm.descriptors, "", atMost, maxLeft),
			demanded(what+"memory more, for each connection since", (last.memory-warm.memory)/since, "B", below, maxMemoryLeft),
			told(what+"resident memory after round 2", warm.memory/mib, "MiB"),
			told(what+"resident memory, lowest of the last 3", last.memory/mib, "MiB"),
		}, nil
	})
}

// comeAndGo is one round, and what the daemon then holds.
func (s *stack) comeAndGo(ctx context.Context, n int) (usage, error) {
	c, err := gather(ctx, s.addr, n, roundRate, userChannel)
	if err != nil {
		return usage{}, err
	}
	err = c.each(func(i int, cl *client) error {
		if i%2 == 0 {
			if err := cl.unsubscribe(userChannel(i)); err != nil {
				return err
			}
		}
		return cl.leave()
	})
	if err != nil {
		c.disperse()
		return usage{}, err
	}
	return s.settled(ctx, 0)
}
