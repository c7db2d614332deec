package main

import (
	"context"
	"fmt"
)

const (
	// warmUp is the number of rounds after which the daemon has what it keeps
	// for later ones.
	warmUp = 5
	// lately is the number of rounds of whose memory the lowest counts, since
	// it goes up and down by megabytes as the garbage collector comes by.
	lately = 3
	// What may be there at the end and not after the warm-up: some goroutines
	// and descriptors, which come and go, and memory, in bytes for each
	// connection since, that is less than the smallest record of one.
	maxLeft       = 8
	maxMemoryLeft = 256
)

// measureChurn looks for what reconnecting clients leave behind: in each
// round, clients connect, subscribe, and all leave, every other one without
// unsubscribing before.
func measureChurn(ctx context.Context, b *bench) ([]figure, error) {
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		after := make([]usage, b.churnRounds)
		for i := range after {
			var err error
			if after[i], err = b.comeAndGo(ctx, s); err != nil {
				return nil, fmt.Errorf("round %d: %w", i+1, err)
			}
			b.say("after round %d: %.1f MiB, %.0f goroutines, %.0f descriptors", i+1,
				after[i].memory/mib, after[i].goroutines, after[i].descriptors)
		}
		warm := min(warmUp, b.churnRounds-1)
		first, last := lowest(after[:warm]), lowest(after[warm:])
		since := float64((b.churnRounds - warm) * b.perRound)
		what := fmt.Sprintf("%d rounds of %s clients: ", b.churnRounds, count(b.perRound))
		more := fmt.Sprintf(" more than after round %d", warm)
		return []figure{
			demanded(what+"goroutines"+more, last.goroutines-first.goroutines, "", atMost, maxLeft),
			demanded(what+"descriptors"+more, last.descriptors-first.descriptors, "", atMost, maxLeft),
			demanded(what+"resident memory more, for each connection since", (last.memory-first.memory)/since, "B", below, maxMemoryLeft),
			told(fmt.Sprintf("%sresident memory after round %d", what, warm), first.memory/mib, "MiB"),
			told(what+"resident memory at the end", last.memory/mib, "MiB"),
		}, nil
	})
}

// lowest is the last usage, with the lowest memory of the last few.
func lowest(rounds []usage) usage {
	u := rounds[len(rounds)-1]
	for _, r := range rounds[max(len(rounds)-lately, 0):] {
		u.memory = min(u.memory, r.memory)
	}
	return u
}

// comeAndGo is one round, and what the daemon then holds.
func (b *bench) comeAndGo(ctx context.Context, s *stack) (usage, error) {
	c, err := gather(ctx, b.arrival(s, b.perRound, userChannel))
	if err != nil {
		return usage{}, err
	}
	defer c.disperse()
	if err := c.leave(ctx); err != nil {
		return usage{}, err
	}
	return s.settled(ctx, 0)
}
