package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// apiTime is what the API takes to answer.
	apiTime = 20 * time.Millisecond
	// maxConcurrent is auth.max_concurrent's default.
	maxConcurrent = 64
	probeRate     = 50
)

// measureStampede has clients, each with a token of its own, subscribe all at
// once without a signature, so that the daemon asks a slow API about each; and
// looks at the API, and at a user who is in already.
func measureStampede(ctx context.Context, b *bench) ([]figure, error) {
	api, err := startSlowAPI()
	if err != nil {
		return nil, err
	}
	defer api.stop()
	n := b.possible(b.connections, 1)
	least := apiTime * time.Duration((n+maxConcurrent-1)/maxConcurrent)
	return b.withStack(ctx, func(s *stack) ([]figure, error) {
		var took, quiet, busy []float64
		var lost int
		for range b.rounds {
			before, err := b.look(ctx, s, b.duration, nil)
			if err != nil {
				return nil, err
			}
			a := b.arrival(s, n)
			a.asks = true
			c, err := gather(ctx, a)
			if err != nil {
				return nil, err
			}
			during, err := b.look(ctx, s, max(b.duration, least), func() error {
				start := time.Now()
				err := c.enter(ctx, n, atOnce, userChannel)
				took = append(took, time.Since(start).Seconds()/least.Seconds())
				return err
			})
			c.disperse()
			if err != nil {
				return nil, err
			}
			quiet, busy = append(quiet, before.P99), append(busy, during.P99)
			lost += before.Lost + during.Lost
		}
		var refused float64
		if err := s.metrics(ctx, map[string]*float64{"broadcastd_subscriptions_refused_total": &refused}); err != nil {
			return nil, err
		}
		what := fmt.Sprintf("%s clients ask at once, the API takes %s: ", count(n), apiTime)
		return []figure{
			demanded(what+"calls to the API at a time, the most", float64(api.most.Load()), "", atMost, maxConcurrent),
			demanded(what+"calls in all rounds", float64(api.calls.Load()), "", exactly, float64(n*b.rounds)),
			demanded(what+"refused", refused, "", atMost, 0),
			told(what+"until all were in, as a multiple of what the API takes at the least", median(took), ""),
			told(what+"message to another user, publish to received, p99, before", median(quiet), "ms"),
			told(what+"the same meanwhile", median(busy), "ms"),
			demanded(what+"lost by that user", float64(lost), "", atMost, 0),
		}, nil
	}, "BROADCASTD_AUTH_ENDPOINT="+api.url, "BROADCASTD_AUTH_HEADERS=Authorization", fmt.Sprintf("BROADCASTD_AUTH_MAX_CONCURRENT=%d", maxConcurrent))
}

// look has a user in a process of its own get messages while something happens.
func (b *bench) look(ctx context.Context, s *stack, d time.Duration, meanwhile func() error) (found, error) {
	p, err := startProbe(ctx, probe{s.addr, []string{"private-healthy"}, probeRate, d})
	if err != nil {
		return found{}, err
	}
	if meanwhile != nil {
		err = meanwhile()
	}
	f, probeErr := p.result()
	if err == nil {
		err = probeErr
	}
	return f, err
}

// slowAPI says yes to everything, and counts.
type slowAPI struct {
	server      http.Server
	url         string
	now         atomic.Int64
	most, calls atomic.Int64
}

func startSlowAPI() (*slowAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	api := &slowAPI{url: "http://" + l.Addr().String()}
	api.server.Handler = api
	go func() { _ = api.server.Serve(l) }() // until stop
	return api, nil
}

func (api *slowAPI) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n := api.now.Add(1)
	defer api.now.Add(-1)
	api.calls.Add(1)
	for most := api.most.Load(); n > most && !api.most.CompareAndSwap(most, n); most = api.most.Load() {
	}
	time.Sleep(apiTime)
	_, _ = w.Write([]byte("true")) // the daemon may have ended
}

func (api *slowAPI) stop() { _ = api.server.Close() }
