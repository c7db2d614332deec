package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// crowd is clients that came together, each with one channel.
type crowd struct {
	clients []*client
	// established and subscribed count from when a client dialled.
	established, subscribed samples
}

// gather lets n clients come at a rate a second. Each dials by itself and then
// subscribes to channel(its number).
func gather(ctx context.Context, addr string, n, rate int, channel func(i int) string) (*crowd, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &crowd{clients: make([]*client, n), established: make(samples, n), subscribed: make(samples, n)}
	errs := make([]error, n)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		began, err := wait(ctx, start.Add(time.Duration(i)*time.Second/time.Duration(rate)))
		if err != nil {
			break // one of them failed
		}
		wg.Go(func() {
			if errs[i] = c.join(ctx, addr, i, began, channel(i)); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if err := firstOf(append(errs, ctx.Err())); err != nil {
		c.disperse()
		return nil, err
	}
	return c, nil
}

func (c *crowd) join(ctx context.Context, addr string, i int, began time.Time, channel string) error {
	cl, err := dial(ctx, addr, benchApp.Key)
	if err != nil {
		return err
	}
	c.clients[i] = cl
	c.established[i] = time.Since(began)
	err = cl.subscribe(benchApp, channel)
	c.subscribed[i] = time.Since(began)
	return err
}

// each runs do for all clients at once and returns the first error.
func (c *crowd) each(do func(i int, cl *client) error) error {
	errs := make([]error, len(c.clients))
	var wg sync.WaitGroup
	for i, cl := range c.clients {
		wg.Go(func() { errs[i] = do(i, cl) })
	}
	wg.Wait()
	return firstOf(errs)
}

// disperse cuts all connections.
func (c *crowd) disperse() {
	for _, cl := range c.clients {
		if cl != nil {
			_ = cl.nc.Close() // nothing more is wanted of it
		}
	}
}

// firstOf prefers an error that isn't a consequence of another.
func firstOf(errs []error) error {
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}
