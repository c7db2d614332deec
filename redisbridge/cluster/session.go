package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/protocol"
)

const (
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
	// settleTime is how long other nodes get to declare what a Redis has
	// forgotten, before rosters are asked for.
	settleTime  = 2 * time.Second
	reportEvery = time.Minute
)

// run keeps the partition in touch with Redis until ctx or the partition ends.
func (p *partition) run(ctx context.Context) {
	defer close(p.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(p.ending, cancel)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { p.write(ctx) })
	for wait := retryMin; ctx.Err() == nil; wait = min(2*wait, retryMax) {
		began := time.Now()
		err := p.session(ctx)
		if ctx.Err() != nil {
			break
		}
		p.down(err)
		p.report(err)
		p.try.Do(func() { close(p.tried) })
		if errors.Is(err, errGone) || time.Since(began) > retryMax {
			wait = retryMin
		}
		pause(ctx, wait/2+rand.N(wait/2))
	}
	all.Wait()
}

// report tells why Redis can't be reached, without repeating itself.
func (p *partition) report(err error) {
	if failure := failureOf(err); failure != p.failure || time.Since(p.reported) >= reportEvery {
		p.failure, p.reported = failure, time.Now()
		p.log.Warn("the cluster's Redis can't be used, trying again", "err", err)
	}
}

// failureOf is what of an error tells it from others. A broken connection's text
// names the local port too, which is another each time.
func failureOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// session is a time in which Redis answers. It returns why that ended.
func (p *partition) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if p.solo {
		return p.listen(ctx, cancel)
	}
	b, err := p.beat(ctx)
	if err != nil {
		return err
	}
	p.awaitAnswers() // of the last session, which may tell what was added
	if err := p.find(ctx, b); err != nil {
		return err
	}
	if err := p.repeat(ctx); err != nil {
		return err
	}
	p.stays(b) // or what is read would be told by two
	fresh := p.begin(cancel, b)

	var beats sync.WaitGroup
	beats.Go(func() { p.beats(ctx, cancel, b) })
	if fresh {
		beats.Go(func() {
			if pause(ctx, settleTime); ctx.Err() == nil {
				p.mu.Lock()
				p.resyncAll()
				p.mu.Unlock()
			}
		})
	}
	beats.Go(func() { p.askOnline(ctx, fresh) })
	cancel(p.read(ctx))
	beats.Wait()
	return context.Cause(ctx)
}

// begin lets the log be used. fresh: all was declared anew.
func (p *partition) begin(cancel context.CancelCauseFunc, b beat) (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = cancel
	p.log.Info("the cluster's Redis answers", "away", time.Since(p.since).Round(time.Millisecond))
	p.up, p.since, p.why = true, time.Now(), nil
	p.sessions++
	for _, h := range p.channels {
		if h.late {
			p.touch(h)
		}
	}
	if fresh = !p.registered || p.anew || b.version < p.version; fresh {
		p.registered = b.generation == p.generation
		p.declareAll()
	} else {
		p.resyncAll()
	}
	p.version, p.anew = b.version, false
	p.try.Do(func() { close(p.tried) })
	return fresh
}

// find tells where to read on. The first time that is the checkpoint; later it is
// where the log was left, unless the log isn't what it was.
func (p *partition) find(ctx context.Context, b beat) error {
	p.turn.Lock()
	at := p.at
	p.turn.Unlock()
	if at == (position{}) {
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
	p.at = at
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

// repeat adds entries to the log once more that a Redis had taken and lost. Nodes
// that have delivered them drop the copies.
func (p *partition) repeat(ctx context.Context) error {
	p.mu.Lock()
	p.sent.trim(time.Now())
	entries := p.sent.entries
	p.mu.Unlock()
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	first, err := p.first(ctx)
	if err != nil {
		return err
	}
	isCut, err := p.isCut(ctx)
	if err != nil {
		return err
	}
	pipe := p.client.Pipeline()
	found := make([]*redis.XMessageSliceCmd, len(entries))
	for i := range entries {
		id := entries[i].id.String()
		found[i] = pipe.XRange(ctx, p.keys.log, id, id)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	missing := pipe
	var lost []sentEntry
	var kept sent
	for i := range entries {
		switch e := entries[i]; {
		case len(found[i].Val()) > 0:
			kept.add(e.id, e.addition)
		case !isCut || !e.id.before(first):
			lost = append(lost, e)
			p.xadd(ctx, missing, e.addition)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	added, err := missing.Exec(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = kept
	for i, cmd := range added {
		if id, ok := parsePosition(cmd.(*redis.StringCmd).Val()); ok {
			p.sent.add(id, lost[i].addition)
		}
	}
	p.metrics.repeated.Add(float64(len(lost)))
	p.log.Warn("entries that Redis had kept and lost were added to the log once more", "entries", len(lost))
	return nil
}

// askOnline asks anew which of the users are online whom clients here watch.
func (p *partition) askOnline(ctx context.Context, fresh bool) {
	if fresh {
		pause(ctx, settleTime)
	}
	if ctx.Err() != nil {
		return
	}
	var watched []string
	for _, id := range p.node.Users.Watched() {
		if partitionOf(userName(id), p.options.Partitions) == p.index {
			watched = append(watched, id)
		}
	}
	for len(watched) > 0 {
		n := min(len(watched), maxLook)
		p.online(watched[:n], func(online []bool, ids []string) {
			for i, id := range ids {
				p.node.Users.SetOnline(id, online[i])
			}
		})
		watched = watched[n:]
	}
}

// maxLook bounds the names that are asked for at once, in a script's unpack.
const maxLook = 1000

// online asks which users are signed in anywhere.
func (p *partition) online(ids []string, then func(online []bool, ids []string)) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = userName(id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue(operation{look: &look{
		names: names,
		then:  func(online []bool) { then(online, ids) },
		local: func() []bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			here := make([]bool, len(names))
			for i, name := range names {
				h := p.channels[name]
				here[i] = h != nil && h.subscribers > 0
			}
			return here
		},
	}})
}

// restore loads the last events of cache channels. They can be many, so that only
// the client bounds the time, that of each answer.
func (p *partition) restore(ctx context.Context) error {
	var cursor uint64
	for {
		pairs, next, err := p.client.HScan(ctx, p.keys.cache, cursor, "", 100).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			e, left, err := decodeKept(pairs[i], pairs[i+1])
			if err != nil {
				p.log.Warn("the last event of a channel cannot be read", "channel", fmt.Sprintf("%.60q", pairs[i]), "err", err)
				continue
			}
			if left > 0 && protocol.CheckChannel(pairs[i]) == nil {
				p.node.Hub.Restore(&e, left)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
