package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/redisbridge"
)

// Options are what a node needs to be part of a cluster. All nodes of a cluster
// have the same, but for Name.
type Options struct {
	URL        string // as redisbridge.NewClient takes it
	Prefix     string // of every key
	Partitions int    // of each app's channels; at least 1
	Apps       int    // how many there will be
	// Lease is within what time a node that died is noticed.
	Lease     time.Duration
	LogLength int           // about how many entries a log keeps
	Name      func() string // of this node, for people
	Version   string        // of this program
	// CountInterval is how often a channel of more than 100 is told how many they
	// are; 0 means 5 s.
	CountInterval time.Duration

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Cluster is this node's part in a cluster.
type Cluster struct {
	options    Options
	client     redis.UniversalClient
	metrics    *metrics
	started    time.Time
	partitions []*partition
}

// questions is how many connections there are for what others than the partitions
// ask Redis.
const questions = 10

// New checks the options; it doesn't connect.
func New(o Options) (*Cluster, error) {
	o.CountInterval = cmp.Or(o.CountInterval, 5*time.Second)
	c := &Cluster{options: o, started: time.Now()}
	var err error
	if c.metrics, err = newMetrics(o.Registerer, func() bool { return c.State() == nil }); err != nil {
		return nil, err
	}
	if c.client, err = redisbridge.NewClient(o.URL, questions); err != nil {
		return nil, err
	}
	return c, nil
}

// Serve makes an app part of the cluster; before Run.
func (c *Cluster) Serve(n channels.Node) channels.Cluster {
	a := &app{node: n, client: c.client}
	for i := range c.options.Partitions {
		p := newPartition(c, n, i)
		a.partitions = append(a.partitions, p)
		c.partitions = append(c.partitions, p)
	}
	return a
}

// Run keeps in touch with the cluster until ctx ends, or Close is called.
func (c *Cluster) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range c.partitions {
		all.Go(func() { p.run(ctx) })
	}
	all.Wait()
}

// Ready waits until Redis has answered, or failed to, or ctx ends. Clients that
// come before are let in by what this node knows.
func (c *Cluster) Ready(ctx context.Context) {
	for _, p := range c.partitions {
		select {
		case <-p.tried:
		case <-ctx.Done():
			return
		}
	}
}

// State is nil while all is well, or tells what isn't.
func (c *Cluster) State() error {
	for _, p := range c.partitions {
		if up, since, why := p.state(); !up {
			return fmt.Errorf("out of reach for %s: %w", time.Since(since).Round(time.Second), why)
		}
	}
	return nil
}

// lossTime is how long Losses tells.
const lossTime = 5 * time.Minute

// Losses tells of events that were lost lately, or may have been.
func (c *Cluster) Losses() error {
	for _, p := range c.partitions {
		p.mu.Lock()
		lost := p.lost
		p.mu.Unlock()
		if !lost.IsZero() && time.Since(lost) < lossTime {
			return fmt.Errorf("events may have been lost %s ago; the warnings of that time tell why", time.Since(lost).Round(time.Second))
		}
	}
	return nil
}

// Close takes this node out of the cluster: what it declared is taken back, and
// others do what it did. Run, which must have begun, ends with it, whatever Close
// returns. The sessions are over.
func (c *Cluster) Close(ctx context.Context) error {
	defer func() { _ = c.client.Close() }() // nothing is under way any more, or it is given up
	if err := eachPartition(c.partitions, func(p *partition) error { return p.leave(ctx) }); err != nil {
		return fmt.Errorf("leaving the cluster: %w; other nodes clean up after this one", err)
	}
	return nil
}

// eachPartition calls f with all partitions at the same time, and gives one of the
// errors.
func eachPartition(partitions []*partition, f func(*partition) error) error {
	errs := make(chan error, len(partitions))
	for _, p := range partitions {
		go func() { errs <- f(p) }()
	}
	var failed error
	for range partitions {
		failed = cmp.Or(failed, <-errs)
	}
	return failed
}

// leave ends the node's lease.
func (p *partition) leave(ctx context.Context) error {
	up, _, why := p.state()
	p.end() // or it would take another lease
	select {
	case <-p.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !up {
		return why
	}
	s, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if p.solo {
		return s.savePosition(ctx)
	}
	if err := s.save(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	generation := p.generation
	p.mu.Unlock()
	return s.cleanUp(ctx, generation, true)
}

// newGeneration names a node for as long as its lease holds.
func newGeneration() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
