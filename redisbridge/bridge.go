package redisbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/protocol"
)

const (
	pingInterval = 2500 * time.Millisecond
	retryMin     = 100 * time.Millisecond
	retryMax     = 5 * time.Second
	logEvery     = time.Minute // for what would repeat itself
)

// Options say what a Bridge listens to and where its events go.
type Options struct {
	URL     string // as internal/redisurl reads it
	Sources []Source
	// Publish takes an event for an app, by the app's id. Calls come one at a
	// time, in Redis's order. It should not wait: meanwhile nothing is read.
	Publish func(app string, e protocol.Event) error
	// MaxEventSize bounds the JSON text of an event's data for an app, in
	// bytes; 0 or no function: no limit.
	MaxEventSize func(app string) int

	Log        *slog.Logger
	Registerer prometheus.Registerer

	// PingInterval is 2.5 s unless set; a connection that answers nothing for
	// four of them is given up.
	PingInterval time.Duration
	// RetryMax is the longest wait between two attempts to connect, 5 s unless
	// set.
	RetryMax time.Duration
}

// State is how the subscription in Redis stands.
type State struct {
	Up    bool
	Since time.Time
	// Err is why it is down, or which part was refused by a Redis that is up;
	// empty when there is nothing to say. No password is in it.
	Err string
}

// Bridge brings events from Redis to the apps.
type Bridge struct {
	// static
	opt      Options
	redis    *endpoint
	sources  []Source // longest prefix first
	patterns []string
	log      *slog.Logger
	metrics  *metrics

	// owned by Run
	skipped skipLog
	lost    time.Time // since when events are lost; zero before the first loss
	logged  time.Time // when a failed attempt was
	failure string    // what was logged then

	mu    sync.Mutex
	state State
}

// New checks the options; it doesn't connect.
func New(opt Options) (*Bridge, error) {
	endpoint, err := newEndpoint(opt.URL)
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	if len(opt.Sources) == 0 {
		return nil, errors.New("redis.prefix is missing: it says which channels to listen to, \"\" for all")
	}
	opt.PingInterval = cmp.Or(opt.PingInterval, pingInterval)
	opt.RetryMax = cmp.Or(opt.RetryMax, retryMax)
	if opt.MaxEventSize == nil {
		opt.MaxEventSize = func(string) int { return 0 }
	}
	metrics, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, err
	}
	log := opt.Log.With("redis", endpoint.String())
	return &Bridge{
		opt:      opt,
		redis:    endpoint,
		sources:  longestFirst(opt.Sources),
		patterns: patterns(opt.Sources),
		log:      log,
		metrics:  metrics,
		skipped:  skipLog{log: log, every: logEvery, seen: map[*Reason]*skips{}},
		state:    State{Since: time.Now(), Err: "not connected yet"},
	}, nil
}

// State tells how the subscription stands.
func (b *Bridge) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Run listens until ctx ends, over as many connections as it takes, and
// returns nil.
func (b *Bridge) Run(ctx context.Context) error {
	for wait := retryMin; ctx.Err() == nil; wait = min(2*wait, b.opt.RetryMax) {
		err := b.listen(ctx)
		ended := b.State()
		b.setState(false, err)
		if ended.Up && time.Since(ended.Since) > b.opt.RetryMax { // it held for a while
			wait = retryMin
		}
		pause(ctx, wait/2+rand.N(wait/2))
	}
	return nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// listen is one connection's life. It returns why that ended.
func (b *Bridge) listen(ctx context.Context) error {
	var heard time.Time // when Redis sent something, zero until it has subscribed us
	l := listener{
		redis:     b.redis,
		patterns:  b.patterns,
		pingEvery: b.opt.PingInterval,
		subscribed: func(refused []error) {
			heard = time.Now()
			b.subscribed(oneLine(refused))
		},
		message: func(channel, payload string) {
			if !heard.IsZero() {
				heard = time.Now()
			}
			b.receive(channel, []byte(payload))
		},
		pong: func() {
			if !heard.IsZero() {
				heard = time.Now()
			}
			b.skipped.flush()
		},
	}
	err := l.run(ctx)
	switch {
	case ctx.Err() != nil:
	case !heard.IsZero():
		b.lost, b.logged = heard, time.Now()
		b.log.Warn("redis connection lost", "err", err)
	case FailureOf(err) != b.failure || time.Since(b.logged) >= logEvery:
		b.failure, b.logged = FailureOf(err), time.Now()
		b.log.Warn("redis can't be subscribed to, trying again", "err", err)
	}
	return err
}

// FailureOf is what of an error tells it from others. A broken connection's text
// names the local port too, which is another each time.
func FailureOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// subscribed tells that the subscription stands, apart from what was refused.
func (b *Bridge) subscribed(refused error) {
	b.setState(true, refused)
	if b.lost.IsZero() {
		b.log.Info("redis subscribed", "patterns", b.patterns)
	} else {
		b.metrics.reconnects.Inc()
		b.log.Warn("redis subscribed again, events published meanwhile are lost",
			"gap", time.Since(b.lost).Round(time.Millisecond), "patterns", b.patterns)
	}
	if refused != nil {
		b.log.Warn("redis refuses a part of the subscription, until the next connection", "err", refused)
	}
}

// oneLine joins errors, nil if there are none.
func oneLine(errs []error) error {
	var all error
	for _, err := range errs {
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

func (b *Bridge) setState(up bool, err error) {
	state := State{Up: up, Since: time.Now()}
	if err != nil {
		state.Err = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if up == b.state.Up {
		state.Since = b.state.Since
	}
	b.state = state
	if up {
		b.metrics.up.Set(1)
	} else {
		b.metrics.up.Set(0)
	}
}
