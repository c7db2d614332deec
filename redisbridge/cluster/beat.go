package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// beat is what a node hears when it renews its lease.
type beat struct {
	generation string
	keeper     bool
	lapsed     bool  // the lease had run out
	version    int64 // of the ledger
	expected   int64 // that it must at least have
	checkpoint string
	nodes      int64
	expired    []string // generations whose lease ran out
	unfinished []string // those that are dead and not cleaned up after
}

// Of the time within which a dead node is to be noticed, its lease takes three
// quarters, and others come by every fifth.
func leaseOf(o *Options) time.Duration    { return o.Lease * 3 / 4 }
func intervalOf(o *Options) time.Duration { return o.Lease / 5 }

// about is what is to be known of a node: the values of the hash of infos.
type about struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Started     int64  `json:"started"`     // ms of Unix time
	Connections int    `json:"connections"` // of the app, in its first partition
}

// about needs p.mu.
func (p *partition) about() []byte {
	a := about{Name: p.options.Name(), Version: p.options.Version, Started: p.started.UnixMilli()}
	if h := p.channels[connectionsName]; h != nil {
		a.Connections = h.subscribers
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic("cluster: encoding texts and numbers: " + err.Error())
	}
	return text
}

// beat renews the lease, or takes one.
func (s *session) beat(ctx context.Context) (beat, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s.mu.Lock()
	generation, registered, expected, about := s.generation, s.registered, s.version, s.about()
	s.mu.Unlock()
	k := &s.keys
	leased := time.Now().Add(leaseOf(s.options)) // at least
	reply, err := beatScript.Run(ctx, s.asking,
		[]string{k.nodes, k.info, k.keeper, k.ledger(generation), k.log, k.due, k.channels, k.dead, k.position},
		generation, leaseOf(s.options).Milliseconds(), about, flag(!registered), s.options.LogLength).Slice()
	switch {
	case err != nil:
		return beat{}, err
	case len(reply) == 1:
		return beat{}, gone(generation)
	case len(reply) < 8:
		return beat{}, errors.New("the lease's script gave an answer that cannot be read; do all nodes run the same version?")
	}
	isKeeper, _ := reply[1].(int64)
	if isKeeper == 1 {
		s.leased.Store(&leased)
	}
	lapsed, _ := reply[2].(int64)
	version, _ := reply[3].(int64)
	nodes, _ := reply[5].(int64)
	return beat{
		generation: generation, keeper: isKeeper == 1, lapsed: lapsed == 1, version: version, expected: expected,
		checkpoint: textOf(reply, 4), nodes: nodes, expired: textsOf(reply[6]), unfinished: textsOf(reply[7]),
	}, nil
}

// beats renews the lease until the session ends, or ends it with the reason why it
// can't.
// What the keeper does can take longer than a lease, so it is done meanwhile.
func (s *session) beats(b beat) {
	ticker := time.NewTicker(intervalOf(s.options))
	defer ticker.Stop()
	work := make(chan func(), 1)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		for do := range work {
			do()
		}
	})
	defer keeping.Wait()
	defer close(work)
	steady := time.Now() // since when the lease has held without a break
	for {
		if b.lapsed {
			steady = time.Now()
		}
		s.heard(b)
		heard, held := b, time.Since(steady) >= s.options.Lease
		select {
		case work <- func() { s.keepLater(s.ctx, heard, held) }:
		default: // the keeper is at work still, and hears of the next beat
		}
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if b, err = s.beat(s.ctx); err != nil {
			s.setDown(err)
			s.cancel(err)
			return
		}
	}
}

// heard acts on a beat.
func (p *partition) heard(b beat) {
	if p.index == 0 {
		p.metrics.nodes.WithLabelValues(p.node.App).Set(float64(b.nodes))
	}
	if b.version >= b.expected {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Warn("Redis has lost declarations of this node; all are made anew", "known", b.version, "expected", b.expected)
	p.version = b.version
	p.declareAnew()
}

// keepLater acts on a beat as the keeper, or as who no longer has to remember what
// the keeper has kept. steady: that others' leases ran out is their doing, not that
// of a Redis which was away for all.
func (s *session) keepLater(ctx context.Context, b beat, steady bool) {
	s.forgetKept(b.checkpoint)
	if err := s.keep(ctx, b, steady); err != nil && ctx.Err() == nil {
		s.log.Warn("what the keeper of the log does could not be done, and is tried again", "err", err)
	}
}
