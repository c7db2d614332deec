package redisbridge

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxUnanswered is how many pings a connection may leave without any answer.
const maxUnanswered = 3

// noDeadline is what go-redis gets to see: a deadline that passes inside of a
// message would lose it, and one that passes anywhere would look like an error
// of Redis. The end of a listener's context cuts the connection instead.
var noDeadline = context.Background()

var errSilent = errors.New("no answer to pings")

// listener is one connection to Redis that hears the channels of patterns. Its
// functions are called by run, in the order of what comes.
type listener struct {
	redis     *endpoint
	patterns  []string
	pingEvery time.Duration

	// subscribed is told once that Redis has answered for every pattern, and
	// why it refused some of them; at least one is heard.
	subscribed func(refused []error)
	// message may take its time: Redis buffers, up to 32 MB unless set
	// otherwise (client-output-buffer-limit pubsub).
	message func(channel, payload string)
	// pong comes every pingEvery.
	pong func()

	// Between run and heartbeat.
	waiting    atomic.Bool  // for Redis, not inside of a function above
	unanswered atomic.Int32 // pings since anything came
}

// run ends with ctx or with the connection and returns why, never nil.
func (l *listener) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	node, err := l.redis.locate(ctx)
	if err != nil {
		return l.ended(ctx, cancel, err)
	}
	opt := *node
	opt.Dialer = dialOnce(ctx, node)
	client := redis.NewClient(&opt)
	defer func() { _ = client.Close() }()
	pubsub := client.Subscribe(noDeadline)
	defer func() { _ = pubsub.Close() }()

	for _, pattern := range l.patterns { // one by one, since each may be refused
		if err := pubsub.PSubscribe(noDeadline, pattern); err != nil {
			return l.ended(ctx, cancel, explain(err, pattern))
		}
	}

	var watching sync.WaitGroup
	watching.Go(func() { l.heartbeat(ctx, cancel, pubsub) })
	watching.Go(func() { l.stay(ctx, cancel, node) })
	err = l.receive(pubsub)
	err = l.ended(ctx, cancel, err)
	watching.Wait()
	return err
}

// ended gives the reason for the end: what cut the connection, if we did.
func (l *listener) ended(ctx context.Context, cancel context.CancelCauseFunc, err error) error {
	cancel(err)
	return context.Cause(ctx)
}

// receive reads until the connection breaks or all patterns are refused.
func (l *listener) receive(pubsub *redis.PubSub) error {
	pending := l.patterns // Redis answers in the order of the commands
	var refused []error
	for {
		reply, err := l.next(pubsub)
		var refusal redis.Error
		if err != nil && !errors.As(err, &refusal) {
			return err
		}
		switch reply := reply.(type) {
		case *redis.Message:
			l.message(reply.Channel, reply.Payload)
			continue
		case *redis.Pong:
			l.pong()
			continue
		}
		if len(pending) == 0 { // a user that lacks PING: also an answer
			l.pong()
			continue
		}
		if err != nil {
			refused = append(refused, explain(err, pending[0]))
		}
		if len(refused) == len(l.patterns) {
			return refused[0]
		}
		if pending = pending[1:]; len(pending) == 0 {
			l.subscribed(refused)
		}
	}
}

// next waits for whatever Redis sends.
func (l *listener) next(pubsub *redis.PubSub) (any, error) {
	l.waiting.Store(true)
	reply, err := pubsub.Receive(noDeadline)
	l.waiting.Store(false)
	l.unanswered.Store(0)
	return reply, err
}

// heartbeat pings, so that a connection whose other end is gone or frozen
// doesn't look like a quiet one. Time that the reader spends on messages
// doesn't count.
func (l *listener) heartbeat(ctx context.Context, cancel context.CancelCauseFunc, pubsub *redis.PubSub) {
	ticker := time.NewTicker(l.pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !l.waiting.Load() {
			continue
		}
		if l.unanswered.Add(1) > maxUnanswered {
			cancel(errSilent)
			return
		}
		if err := pubsub.Ping(noDeadline); err != nil {
			cancel(err)
			return
		}
	}
}

// stay ends the connection when its node isn't the one to listen to any more:
// Sentinels name another master, or the node has lost its Cluster. Such a node
// can look alive and hear nothing that is published elsewhere.
func (l *listener) stay(ctx context.Context, cancel context.CancelCauseFunc, node *redis.Options) {
	ticker := time.NewTicker(2 * l.pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := l.redis.misplaced(ctx, node); err != nil {
			cancel(err)
			return
		}
	}
}
