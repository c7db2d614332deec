package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"broadcastd/redisbridge"
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
		was := p.sessionNow()
		err := p.session(ctx)
		if ctx.Err() != nil {
			break
		}
		p.down(err)
		if p.sessionNow() == was { // otherwise down has told
			p.report(err)
		}
		p.try.Do(func() { close(p.tried) })
		if errors.Is(err, errGone) || time.Since(began) > retryMax {
			wait = retryMin
		}
		pause(ctx, wait/2+rand.N(wait/2))
	}
	all.Wait()
}

func (p *partition) sessionNow() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions
}

// report tells why Redis can't be reached, without repeating itself.
func (p *partition) report(err error) {
	if failure := redisbridge.FailureOf(err); failure != p.failure || time.Since(p.reported) >= reportEvery {
		p.failure, p.reported = failure, time.Now()
		p.log.Warn("the cluster's Redis can't be used, trying again", "err", err)
	}
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
	if err := p.agree(ctx); err != nil {
		return err
	}
	if p.index == 0 && p.sessionNow() == 0 {
		p.warnOfEviction(ctx)
	}
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

	var all sync.WaitGroup
	all.Go(func() { p.beats(ctx, cancel, b) })
	all.Go(func() { p.askOnline(ctx, fresh) })
	cancel(p.read(ctx))
	all.Wait()
	return context.Cause(ctx)
}

// begin lets the log be used. fresh: all was declared anew.
func (p *partition) begin(cancel context.CancelCauseFunc, b beat) (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = cancel
	if p.sessions == 0 {
		p.log.Info("the log is read")
	} else {
		p.log.Info("the cluster's Redis answers again", "away", time.Since(p.since).Round(time.Millisecond))
	}
	p.up, p.since, p.why = true, time.Now(), nil
	p.sessions++
	for _, h := range p.channels {
		if h.late {
			p.touch(h)
		}
	}
	if fresh = !p.registered || p.anew || b.version < p.version; fresh {
		p.registered = b.generation == p.generation
		p.declareAnew()
	} else {
		p.resyncAll()
	}
	p.version, p.anew = b.version, false
	p.try.Do(func() { close(p.tried) })
	return fresh
}
