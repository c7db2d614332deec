package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// cleanUp takes back what a node had declared. own: it is this one, which leaves.
func (s *session) cleanUp(ctx context.Context, generation string, own bool) error {
	k := &s.keys
	buried, err := buryScript.Run(ctx, s.asking, []string{k.nodes, k.dead}, generation, flag(own)).Int()
	if err != nil {
		return err
	}
	if buried == 0 {
		return nil // it is back
	}
	ledger, err := s.ledgerOf(ctx, generation)
	if err != nil {
		return err
	}
	for changes := range slices.Chunk(ledger, maxChanges) {
		names, args := s.declareArgs(generation, true, changes)
		if err := declareScript.Run(ctx, s.asking, names, args...).Err(); err != nil {
			return fmt.Errorf("taking back what a dead node had declared: %w", err)
		}
	}
	_, err = s.asking.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, k.ledger(generation))
		pipe.HDel(ctx, k.info, generation)
		pipe.SRem(ctx, k.dead, generation)
		return nil
	})
	if err == nil && !own {
		s.metrics.cleaned.Inc()
		s.log.Warn("a node is gone, and what it had declared was taken back", "node", generation, "channels", len(ledger))
	}
	return err
}

// ledgerOf reads what a node has declared, as what takes it back.
func (s *session) ledgerOf(ctx context.Context, generation string) ([]change, error) {
	var cursor uint64
	byName := make(map[string]*change)
	for {
		pairs, next, err := s.asking.HScan(ctx, s.keys.ledger(generation), cursor, "", readCount).Result()
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == "\n" { // the version
				continue
			}
			name, user, isMember := pairs[i], "", false
			if name[0] != '~' { // whose user ids may hold anything
				name, user, isMember = strings.Cut(pairs[i], "\n")
			}
			c := byName[name]
			if c == nil {
				c = &change{channel: &holding{name: name}}
				byName[name] = c
			}
			if isMember {
				c.leave = append(c.leave, user)
			} else {
				c.subscribers, _ = strconv.Atoi(pairs[i+1])
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	changes := make([]change, 0, len(byName))
	for _, c := range byName {
		for len(c.leave) > maxMembers { // a part, and subscribers as they are
			part := *c
			part.leave, c.leave = c.leave[:maxMembers], c.leave[maxMembers:]
			changes = append(changes, part)
		}
		c.subscribers = 0
		changes = append(changes, *c)
	}
	return changes, nil
}
