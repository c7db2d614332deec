package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
	channels func(i int) []string // that client i subscribes to; nil: none
}

// gather lets clients come, and returns when all have their subscriptions.
func gather(ctx context.Context, a arrival) (*crowd, error) {
	addr, err := netip.ParseAddrPort(a.addr)
	if err != nil {
		return nil, err
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
	if err := c.come(ctx, a, addr); err != nil {
		c.disperse()
		return nil, fmt.Errorf("connecting to %s: %w", a.addr, err)
	}
	return c, nil
}

func (c *crowd) come(ctx context.Context, a arrival, addr netip.AddrPort) error {
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
		l.do(func() { l.start(cl, addr) })
	}
	return c.settled(ctx, arrived)
}

// settled waits until all clients have told goal that they reached it.
func (c *crowd) settled(ctx context.Context, goal <-chan error) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for i := range c.clients {
		select {
		case err := <-goal:
			if err != nil {
				return err
			}
		case <-timer.C:
			return fmt.Errorf("%d clients of %d did not get on within %s", len(c.clients)-i, len(c.clients), patience)
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
