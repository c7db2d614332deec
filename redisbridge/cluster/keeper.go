package cluster

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// keeper is the node's work while it keeps a log: it tells webhooks what happens.
type keeper struct {
	generation string         // of the node, when it became that
	hooks      channels.Hooks // nil: there are none
	partition  string         // its number, which makes ids of several logs differ
	// told is up to where webhooks were told, or have been given up. Those in open
	// came after it. Both are guarded by the partition's turn.
	told position
	open []*receipt
	left bool // the node is leaving, and what follows is its successor's to tell

	leased *atomic.Pointer[time.Time] // the partition's
	over   atomic.Bool                // others may have told
}

// may reports whether the node is the keeper for certain. One that was frozen or cut
// off finds its lease run out before Redis tells it who is now, and then what it
// told of last is another's to tell.
func (k *keeper) may() bool {
	if !time.Now().Before(*k.leased.Load()) {
		k.over.Store(true)
	}
	return !k.over.Load()
}

// heldTime is how old a departure is at least, a little more in fact, before
// webhooks tell of it.
const heldTime = 2500 * time.Millisecond

// receipt is an entry that webhooks are told of.
type receipt struct {
	id   position
	done atomic.Bool
}

// tell lets webhooks know of an entry, which others may have told of before, if may
// is nil. It needs the partition's turn.
func (k *keeper) tell(e *entry, may func() bool) {
	if k.hooks == nil || k.left || !concernsHooks(e) {
		return
	}
	r := &receipt{id: e.id}
	defer func() {
		if !r.done.Load() { // by then most are that nobody takes, or has room for
			k.open = append(k.open, r)
		}
	}()
	to := k.hooks.Telling(e.id.String()+"-"+k.partition, may, func() { r.done.Store(true) })
	switch e.kind {
	case typeEvent:
		event, _ := e.toEvent()
		to.ClientEvent(&event)
	case typeMemberAdded:
		to.MemberAdded(e.channel, e.user)
	case typeMemberRemoved:
		to.MemberRemoved(e.channel, e.user)
	case typeOccupied:
		to.Occupied(e.channel)
	case typeVacated:
		to.Vacated(e.channel)
	case typeCacheMiss:
		to.CacheMissed(e.channel)
	case typeCount:
		n, _ := strconv.Atoi(e.n)
		to.SubscriptionCount(e.channel, n)
	}
}

func concernsHooks(e *entry) bool {
	switch e.kind {
	case typeEvent:
		return e.socket != "" && e.from != "" && protocol.IsClientEvent(e.event)
	case typeMemberAdded, typeMemberRemoved, typeOccupied, typeVacated, typeCacheMiss, typeCount:
		return true
	}
	return false
}

// checkpoint is up to where nothing has to be told again; at is up to where the
// log was read. It needs the partition's turn.
func (k *keeper) checkpoint(at position) position {
	for len(k.open) > 0 && k.open[0].done.Load() {
		k.told = k.open[0].id
		k.open = k.open[1:]
	}
	if len(k.open) == 0 {
		k.open = nil
		if !k.left {
			k.told = at
		}
	}
	return k.told
}

// keep does what the keeper does, if the node is that.
func (s *session) keep(ctx context.Context, b beat, steady bool) error {
	is := s.stays(b)
	if !b.keeper {
		return nil
	}
	if !is {
		if err := s.succeed(ctx, b.generation); err != nil {
			return err
		}
		s.metrics.kept.Inc()
	}
	failed := s.save(ctx)
	dead := b.unfinished
	if steady {
		dead = append(dead, b.expired...)
	}
	for _, generation := range dead {
		if err := s.cleanUp(ctx, generation, false); err != nil {
			return errors.Join(failed, err)
		}
	}
	return failed
}

// stays reports whether the node was the keeper before a beat, and still is. If it
// isn't any more, or wasn't all the time, others may have told webhooks.
func (p *partition) stays(b beat) bool {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.keeper != nil && (!b.keeper || b.lapsed || p.keeper.generation != b.generation || p.keeper.over.Load()) {
		p.resign()
	}
	return p.keeper != nil
}

// resign ends the node's time as the keeper. It needs the partition's turn.
func (p *partition) resign() {
	p.keeper.over.Store(true)
	p.keeper = nil
	p.metrics.kept.Dec()
}

// succeed makes the node the keeper, who tells webhooks what the last one didn't.
func (s *session) succeed(ctx context.Context, generation string) error {
	k := &keeper{generation: generation, hooks: s.node.Hooks, partition: strconv.Itoa(s.index), leased: &s.leased}
	s.turn.Lock()
	at := s.at
	s.turn.Unlock()
	k.told = at
	if k.hooks != nil {
		id, err := s.asking.Get(ctx, s.keys.hooks).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if told, ok := parsePosition(id); ok {
			k.told = told
		}
	}
	// That may be a lot, and clients' events don't wait for it, but for what has
	// been read meanwhile.
	from, err := s.tellAgain(ctx, k, k.told, at)
	if err != nil {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if _, err := s.tellAgain(ctx, k, from, s.at); err != nil {
		return err
	}
	s.keeper = k
	return nil
}

// tellAgain lets webhooks know of what the log holds between two positions, and
// gives the one up to where.
func (s *session) tellAgain(ctx context.Context, k *keeper, from, to position) (position, error) {
	if k.hooks == nil {
		return from, nil
	}
	now, err := s.asking.Time(ctx).Result()
	if err != nil {
		return from, err
	}
	for from.before(to) {
		messages, err := s.asking.XRangeN(ctx, s.keys.log, "("+from.String(), to.String(), readCount).Result()
		if err != nil {
			return from, err
		}
		for _, m := range messages {
			fields := make([]any, 0, 2*len(m.Values))
			for name, value := range m.Values {
				fields = append(fields, name, value)
			}
			if e, ok := parseEntry(m.ID, fields); ok {
				var may func() bool
				if e.id.ms > uint64(now.Add(-heldTime).UnixMilli()) { // nobody can have told of a departure
					may = k.may
				}
				k.tell(&e, may)
				from = e.id
			}
		}
		if len(messages) < readCount {
			return to, nil
		}
	}
	return from, nil
}
