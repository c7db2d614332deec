package server

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/socket"
)

// revalidator asks the API again about subscriptions that it granted, and ends
// those that it refuses now (auth.revalidate). One goroutine knows what is due;
// those that ask take a part of the API's slots at most, so that clients who want
// to join don't wait behind them. While the API is away, or slow, subscriptions
// stay, and are due later.
type revalidator struct {
	server *Server
	every  time.Duration
	slots  chan struct{} // holds a token per question under way
	proofs sync.Map      // of all connections: a *proof by socket id

	mu    sync.Mutex // guards queue
	queue checks
}

// check is a subscription that is asked about again.
type check struct {
	due     time.Time
	at      int // in the queue; -1: not there
	ses     *session
	channel string
	sub     *subscription
	own     bool // by the handshake's headers, rather than those of the proof
}

// share is the part of auth.max_concurrent that may be taken.
const share = 4

func newRevalidator(s *Server) *revalidator {
	c := s.cfg.Auth
	if c.Revalidate == 0 || s.api == nil {
		return nil
	}
	return &revalidator{server: s, every: c.Revalidate, slots: make(chan struct{}, max(1, c.MaxConcurrent/share))}
}

// run asks until ctx ends.
func (v *revalidator) run(ctx context.Context) {
	for {
		c, wait := v.next(time.Now())
		if c == nil {
			pause(ctx, wait)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		select {
		case v.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		v.server.sessions.Go(func() {
			defer func() { <-v.slots }()
			defer v.server.recovered(placeAuthorise, c.ses.broken)
			v.ask(ctx, c)
		})
	}
}

// add has a check fall due after the interval, or a quarter earlier or later, so
// that clients that came all at once are not asked about all at once.
func (v *revalidator) add(c *check) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c.due = time.Now().Add(v.every*3/4 + rand.N(v.every/2))
	heap.Push(&v.queue, c)
}

func (v *revalidator) remove(c *check) {
	if c == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.at >= 0 {
		heap.Remove(&v.queue, c.at)
	}
}

// next takes a check that is due. If none is, wait is how long none will be:
// whatever is added meanwhile is due later than half the interval.
func (v *revalidator) next(now time.Time) (c *check, wait time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	wait = v.every / 2
	if len(v.queue) == 0 {
		return nil, wait
	}
	if left := v.queue[0].due.Sub(now); left > 0 {
		return nil, min(left, wait)
	}
	return heap.Pop(&v.queue).(*check), 0
}

func (v *revalidator) waiting() int {
	if v == nil {
		return 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.queue)
}

func (v *revalidator) ask(ctx context.Context, c *check) {
	ses := c.ses
	if !ses.isIn(c) {
		return
	}
	header := ses.credentials
	if !c.own {
		header = ses.proof.shown()
	}
	grant, err := v.server.api.AuthorizeAgain(ctx, ses.app.credentials(), auth.Request{
		SocketID: ses.conn.SocketID(), Channel: c.channel, Header: header,
	})
	ses.confirm(c, grant, err)
}

func (ses *session) isIn(c *check) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.subscriptions[c.channel] == c.sub
}

// watch has the API asked again about a subscription. ses.mu must be held.
func (ses *session) watch(channel string, sub *subscription, own bool) {
	if v := ses.server.again; v != nil {
		sub.check = &check{at: -1, ses: ses, channel: channel, sub: sub, own: own}
		v.add(sub.check)
	}
}

// unwatch ends what watch began. ses.mu must be held.
func (ses *session) unwatch(sub *subscription) {
	if v := ses.server.again; v != nil {
		v.remove(sub.check)
	}
}

// errOther is a yes to somebody else.
var errOther = errors.New("the API now takes this client for another member")

// confirm acts on what the API says now. Whatever isn't a clear no leaves the
// subscription as it is.
func (ses *session) confirm(c *check, grant auth.Grant, err error) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.subscriptions[c.channel] != c.sub {
		return
	}
	results := ses.server.metrics.revalidations
	if err == nil && c.sub.member != nil {
		if member, bad := ses.app.memberFor(c.channel, grant.ChannelData); bad == nil && member.UserID != c.sub.member.UserID {
			err = errOther
		}
	}
	switch {
	case err == nil:
		results.WithLabelValues("kept").Inc()
		ses.server.again.add(c)
	case auth.IsNo(err) || errors.Is(err, errOther):
		results.WithLabelValues("ended").Inc()
		ses.expel(c, err)
	default:
		results.WithLabelValues("unsure").Inc()
		ses.server.again.add(c)
	}
}

// expel ends a subscription. On pusher:subscription_error pusher-js calls what is
// bound to it, which Echo's error() is, as when a client is not let in; it has no
// message of its own for an end. ses.mu must be held.
func (ses *session) expel(c *check, why error) {
	ses.drop(c.channel, c.sub)
	delete(ses.subscriptions, c.channel)
	status := http.StatusForbidden
	if no, ok := errors.AsType[*auth.Refusal](why); ok {
		status = no.Status
	}
	ses.tellRefused(c.channel, typeAuth, status, "the subscription has ended: "+why.Error())
	ses.server.log.Debug("a subscription has ended, since the API refuses it now", "socket", ses.conn.SocketID().String(), "channel", c.channel, "err", why)
	if !ses.proof.revoke(c.channel) {
		ses.conn.Close(socket.ReasonTerminated)
	}
}

// checks is a heap, the earliest first.
type checks []*check

func (q checks) Len() int           { return len(q) }
func (q checks) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q checks) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *checks) Push(x any) {
	c := x.(*check)
	c.at = len(*q)
	*q = append(*q, c)
}

func (q *checks) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	c.at = -1
	return c
}
