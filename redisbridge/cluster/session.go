package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/redisbridge"
)

const (
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
	// settleTime is how long other nodes get to declare what a Redis has
	// forgotten, before rosters are asked for.
	settleTime  = 2 * time.Second
	reportEvery = time.Minute
	watchEvery  = time.Second
)

// session is a time in which one server answers. Its connections are made at its
// beginning and never again: a server that was started anew, or took over, may lack
// what was read or added, and only the beginning of a session finds that out.
type session struct {
	*partition
	server  *redisbridge.Server
	reading *redis.Client   // for the log's reader, who waits
	writing *redis.Client   // for what is queued
	asking  *redis.Client   // for everything else
	ctx     context.Context // the session's; why it ended is its cause
	cancel  context.CancelCauseFunc
	begun   bool // owned by run
}

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
		begun, err := p.attend(ctx)
		if ctx.Err() != nil {
			break
		}
		p.down(err)
		if !begun { // otherwise down has told
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

// attend has a session, and returns why it ended.
func (p *partition) attend(ctx context.Context) (begun bool, err error) {
	if err := p.agree(ctx); err != nil {
		return false, err
	}
	if p.index == 0 && p.latestSession() == nil {
		p.warnOfEviction(ctx)
	}
	s, err := p.connect(ctx)
	if err != nil {
		return false, err
	}
	defer s.close()
	if s.solo {
		err = s.listen()
	} else {
		err = s.serve()
	}
	return s.begun, err
}

// connect makes the connections of a session, which ends with ctx.
func (p *partition) connect(ctx context.Context) (*session, error) {
	asking, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	server, err := redisbridge.Locate(asking, p.options.URL, p.client, p.keys.log)
	if err != nil {
		return nil, err
	}
	s := &session{partition: p, server: server}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for _, client := range []**redis.Client{&s.reading, &s.writing, &s.asking} {
		if *client, err = s.server.Connect(s.ctx); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// close cuts what is under way.
func (s *session) close() {
	s.cancel(redisbridge.ErrBroken)
	for _, client := range []*redis.Client{s.reading, s.writing, s.asking} {
		if client != nil {
			_ = client.Close() // nothing is awaited any more
		}
	}
}

func (p *partition) latestSession() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
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

// serve shares what this node has, and delivers what it reads, until the session
// ends. It returns why.
func (s *session) serve() error {
	b, err := s.beat(s.ctx)
	if err != nil {
		return err
	}
	s.awaitAnswers() // of the last session, which may tell what was added
	if err := s.find(s.ctx, b); err != nil {
		return err
	}
	if err := s.repeat(s.ctx); err != nil {
		return err
	}
	s.stays(b) // or what is read would be told by two
	fresh := s.begin(b)

	var all sync.WaitGroup
	all.Go(func() { s.beats(b) })
	all.Go(func() { s.askOnline(s.ctx, fresh) })
	all.Go(s.stay)
	s.cancel(s.read(s.ctx))
	all.Wait()
	return context.Cause(s.ctx)
}

// stay ends the session when Sentinels name another master. The one before may be
// cut off from them, and look alive.
func (s *session) stay() {
	for s.ctx.Err() == nil {
		if err := s.server.Replaced(s.ctx); err != nil {
			s.setDown(err)
			s.cancel(err)
			return
		}
		pause(s.ctx, watchEvery)
	}
}

// begin lets the log be used. fresh: all was declared anew.
func (s *session) begin(b beat) (fresh bool) {
	p := s.partition
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		p.log.Info("the log is read")
	} else {
		p.log.Info("the cluster's Redis answers again", "away", time.Since(p.since).Round(time.Millisecond))
	}
	p.up, p.since, p.why = true, time.Now(), nil
	p.latest, s.begun = s, true
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
