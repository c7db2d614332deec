package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// patience bounds whatever is waited for while nothing is measured.
const patience = 30 * time.Second

// crowd is clients that came together. Its methods are for one goroutine.
type crowd struct {
	loops   []*loop
	clients []*client
	lost    chan error // why a connection ended that should not have
}

// arrival is how a crowd comes.
type arrival struct {
	way
	clients  int
	rate     int                  // clients a second
	loops    int                  // that read for them
	nodes    []string             // addresses that they come to in turn; none: way's
	channels func(i int) []string // that client i subscribes to; nil: none
}

// gather lets clients come, and returns when all have their subscriptions.
func gather(ctx context.Context, a arrival) (*crowd, error) {
	if len(a.nodes) == 0 {
		a.nodes = []string{a.addr}
	}
	addrs := make([]netip.AddrPort, len(a.nodes))
	for i, node := range a.nodes {
		var err error
		if addrs[i], err = netip.ParseAddrPort(node); err != nil {
			return nil, err
		}
	}
	c := &crowd{clients: make([]*client, a.clients), lost: make(chan error, 1)}
	for range max(a.loops, 1) {
		l, err := startLoop(c.lost)
		if err != nil {
			c.disperse()
			return nil, err
		}
		c.loops = append(c.loops, l)
	}
	if err := c.come(ctx, a, addrs); err != nil {
		c.disperse()
		return nil, fmt.Errorf("connecting to %s: %w", strings.Join(a.nodes, ", "), err)
	}
	return c, nil
}

func (c *crowd) come(ctx context.Context, a arrival, addrs []netip.AddrPort) error {
	arrived := make(chan error, a.clients)
	start := time.Now()
	for i := range c.clients {
		if _, err := wait(ctx, start.Add(time.Duration(i)*time.Second/time.Duration(a.rate))); err != nil {
			return err
		}
		cl := &client{way: a.way, goal: arrived}
		if a.channels != nil {
			cl.channels = a.channels(i)
		}
		c.clients[i] = cl
		l := c.loops[i%len(c.loops)]
		l.do(func() { l.start(cl, addrs[i%len(addrs)]) })
	}
	return c.settled(ctx, arrived)
}

// settled waits until as many clients have told goal that they reached it as it
// has room for.
func (c *crowd) settled(ctx context.Context, goal chan error) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for i := range cap(goal) {
		select {
		case err := <-goal:
			if err != nil {
				return err
			}
		case <-timer.C:
			return fmt.Errorf("%d clients of %d did not get on within %s", cap(goal)-i, cap(goal), patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// times are those of a crowd that has come, one for each client.
func (c *crowd) times(of func(*client) time.Duration) samples {
	s := make(samples, len(c.clients))
	for i, cl := range c.clients {
		s[i] = of(cl)
	}
	return s
}

// leave has all clients say goodbye, every other one without unsubscribing
// before, and returns when the server has closed their connections.
func (c *crowd) leave(ctx context.Context) error {
	left := make(chan error, len(c.clients))
	for i, cl := range c.clients {
		cl.loop.do(func() {
			cl.goal = left
			if cl.stage == gone {
				cl.settle(errors.New("a client's connection had ended before it left"))
			} else if err := cl.leave(i%2 == 0); err != nil {
				cl.end(err)
			}
		})
	}
	if err := c.settled(ctx, left); err != nil {
		return fmt.Errorf("leaving: %w", err)
	}
	return nil
}

// enter has the first n clients subscribe, so many a second, to the channels that
// it gives them, and returns when all have.
func (c *crowd) enter(ctx context.Context, n, rate int, channel func(i int) string) error {
	return c.each(ctx, n, rate, func(i int, cl *client) error {
		cl.channels = []string{channel(i)}
		return cl.join()
	})
}

// part has them unsubscribe, and returns when the server has heard it.
func (c *crowd) part(ctx context.Context, n, rate int) error {
	return c.each(ctx, n, rate, func(_ int, cl *client) error { return cl.part() })
}

// each has the first n clients do something, so many a second, and waits until all
// have arrived again.
func (c *crowd) each(ctx context.Context, n, rate int, do func(i int, cl *client) error) error {
	goal := make(chan error, n)
	start := time.Now()
	for i, cl := range c.clients[:n] {
		if _, err := wait(ctx, start.Add(time.Duration(i)*time.Second/time.Duration(rate))); err != nil {
			return err
		}
		cl.loop.do(func() {
			cl.goal = goal
			if cl.stage != open {
				cl.settle(errBroken)
			} else if err := do(i, cl); err != nil {
				cl.end(err)
			}
		})
	}
	return c.settled(ctx, goal)
}

// stopReading is what makes slow consumers of all clients, for good.
func (c *crowd) stopReading() error {
	errs := make([]error, len(c.clients))
	for i, cl := range c.clients {
		cl.loop.call(func() { errs[i] = cl.loop.poller.ignore(cl.sock) })
	}
	return errors.Join(errs...)
}

// errBroken is of a crowd that is of no use any more.
var errBroken = errors.New("a subscriber's connection ended")

// broken is errBroken and why, if a connection ended that should not have.
func (c *crowd) broken() error {
	select {
	case err := <-c.lost:
		return fmt.Errorf("%w: %w", errBroken, err)
	default:
		return nil
	}
}

// disperse cuts all connections.
func (c *crowd) disperse() {
	for _, l := range c.loops {
		l.close()
	}
}
