package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// nodes is daemons that share a Redis.
type nodes struct {
	redis   *stack // has no daemon
	daemons []*stack
	resting bill // what they take in a second in which nothing happens
}

// startNodes returns once all are ready. env adds to their environment. stop ends
// them.
func startNodes(ctx context.Context, binary string, n int, env ...string) (_ *nodes, err error) {
	c := &nodes{redis: &stack{}}
	defer func() {
		if err != nil {
			_ = c.stop() // why they didn't start is what counts
		}
	}()
	dir, err := os.MkdirTemp(filepath.Dir(binary), "run")
	if err != nil {
		return nil, err
	}
	if err := c.redis.startRedis(ctx, dir); err != nil {
		return nil, err
	}
	for range n {
		if dir, err = os.MkdirTemp(filepath.Dir(binary), "run"); err != nil {
			return nil, err
		}
		d := &stack{}
		c.daemons = append(c.daemons, d)
		if err := d.startDaemon(ctx, dir, binary, c.redis.url(), env); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// stop ends all daemons at the same time, and then Redis.
func (c *nodes) stop() error {
	var all sync.WaitGroup
	errs := make([]error, len(c.daemons))
	for i, d := range c.daemons {
		all.Go(func() { errs[i] = d.stop() })
	}
	all.Wait()
	return errors.Join(append(errs, c.redis.stop())...)
}

// addrs are where clients connect.
func (c *nodes) addrs() []string {
	all := make([]string, len(c.daemons))
	for i, d := range c.daemons {
		all[i] = d.addr
	}
	return all
}

// bill is processor time in microseconds: Redis's, and each node's.
type bill struct {
	redis float64
	nodes []float64
}

// less takes another bill off, so many times.
func (b bill) less(other bill, times float64) bill {
	b.redis -= other.redis * times
	for i := range b.nodes {
		b.nodes[i] -= other.nodes[i] * times
	}
	return b
}

// together is what all nodes took, without Redis.
func (b bill) together() (sum float64) {
	for _, n := range b.nodes {
		sum += n
	}
	return sum
}

// others is what each node but the first took, on average. There are some.
func (b bill) others() float64 { return (b.together() - b.nodes[0]) / float64(len(b.nodes)-1) }

// spent is what was taken since the start.
func (c *nodes) spent() (b bill, err error) {
	t, err := cpuTime(c.redis.redis.pid())
	b.redis = microseconds(t)
	for _, d := range c.daemons {
		t, nodeErr := cpuTime(d.daemon.pid())
		b.nodes = append(b.nodes, microseconds(t))
		err = errors.Join(err, nodeErr)
	}
	return b, err
}

// rest learns what is taken while nothing happens.
func (c *nodes) rest(ctx context.Context, d time.Duration) error {
	before, err := c.spent()
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := wait(ctx, start.Add(d)); err != nil {
		return err
	}
	after, err := c.spent()
	seconds := time.Since(start).Seconds()
	c.resting = bill{nodes: make([]float64, len(c.daemons))}.less(after.less(before, 1), -1/seconds)
	return err
}

// cost is what do takes beyond that.
func (c *nodes) cost(do func() error) (bill, error) {
	before, err := c.spent()
	if err != nil {
		return bill{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return bill{}, err
	}
	after, err := c.spent()
	if err != nil {
		return bill{}, err
	}
	return after.less(before, 1).less(c.resting, time.Since(start).Seconds()), nil
}
