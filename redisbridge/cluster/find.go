package cluster

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// find tells where to read on. The first time that is the checkpoint; later it is
// where the log was left, unless the log isn't what it was.
func (p *partition) find(ctx context.Context, b beat) error {
	p.turn.Lock()
	at, placed := p.at, p.placed
	p.turn.Unlock()
	if !placed {
		if !p.solo {
			if err := p.restore(ctx); err != nil {
				return err
			}
		}
		at, _ = parsePosition(b.checkpoint)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	found, err := p.lastUpTo(ctx, at)
	if err != nil {
		return err
	}
	if found != at {
		first, err := p.first(ctx)
		if err != nil {
			return err
		}
		isCut, err := p.isCut(ctx)
		if err != nil {
			return err
		}
		// Unless the log was cut there, this Redis was emptied, or has taken over
		// from one that knew more. What it has got since can have lower ids.
		if !isCut || first == (position{}) || !at.before(first) {
			p.metrics.rewinds.Inc()
			p.missed()
			p.log.Warn("the log lacks entries that were read already: its Redis has lost its last writes", "read", at.String(), "found", found.String())
			at = found
		}
	}
	p.turn.Lock()
	p.at, p.placed = at, true
	p.turn.Unlock()
	return nil
}

// lastUpTo is the newest entry of the log that isn't behind at; zero: none.
func (p *partition) lastUpTo(ctx context.Context, at position) (position, error) {
	return idOf(p.client.XRevRangeN(ctx, p.keys.log, at.String(), "-", 1))
}

// first is the oldest entry of the log; zero: none.
func (p *partition) first(ctx context.Context) (position, error) {
	return idOf(p.client.XRangeN(ctx, p.keys.log, "-", "+", 1))
}

// isCut reports whether the log may have lost its beginning to its length. It is
// never shorter after that; one that is shorter has begun anew, or not been cut.
func (p *partition) isCut(ctx context.Context) (bool, error) {
	length, err := p.client.XLen(ctx, p.keys.log).Result()
	return length >= int64(p.options.LogLength), err
}

func idOf(cmd *redis.XMessageSliceCmd) (position, error) {
	entries, err := cmd.Result()
	if err != nil || len(entries) == 0 {
		return position{}, err
	}
	at, _ := parsePosition(entries[0].ID)
	return at, nil
}
