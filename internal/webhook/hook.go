package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A request that failed is repeated until retryTime after its first try, with
// pauses that grow from firstPause to maxPause.
const (
	retryTime  = 5 * time.Minute
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
)

// Hook is an address and what it is told.
type Hook struct {
	URL     string
	Headers map[string]string // sent along
	Events  []string          // names; empty: all
	// Prefix and Suffix are what a channel's name must begin and end with.
	Prefix, Suffix string
}

// hook is a receiver: a queue and the goroutine that empties it.
type hook struct {
	// Static after construction.
	Hook
	url       *url.URL // without user
	header    http.Header
	secret    string
	transport http.RoundTripper
	queue     *queue
	metrics   hookMetrics
	log       *slog.Logger
	finish    chan struct{} // closed: no event follows any more

	// Owned by run.
	failing bool // since the last request that was taken
	missed  int  // events left at the end
}

func newHook(c Hook, index int, o Options) (*hook, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("webhook %d of app %s: its URL is not an absolute http or https URL", index, o.App)
	}
	h := &hook{
		Hook: c, url: u, secret: o.Secret, transport: o.Transport, metrics: o.Metrics.of(o.App, index),
		log:    o.Log.With("app", o.App, "hook", index, "host", u.Host),
		finish: make(chan struct{}),
	}
	h.header = h.newHeader(o.Key, c.Headers)
	u.User, u.Fragment = nil, ""
	h.queue = newQueue(o.MaxQueue, h.metrics.queue)
	return h, nil
}

// takes reports whether the hook is told of such an event in a channel.
func (h *hook) takes(name, channel string) bool {
	return (len(h.Events) == 0 || slices.Contains(h.Events, name)) &&
		strings.HasPrefix(channel, h.Prefix) && strings.HasSuffix(channel, h.Suffix)
}

// tell queues an event if the hook is told of it. Who calls it holds the event's
// receipt.
func (h *hook) tell(e event) {
	if !h.takes(e.Name, e.Channel) {
		return
	}
	e.receipt.hold()
	if !h.queue.push(e) {
		h.metrics.dropped.WithLabelValues(droppedFull).Inc()
		e.receipt.drop()
	}
}

// run sends what is queued until finish is closed and the queue is empty, or
// until ctx ends.
func (h *hook) run(ctx context.Context) {
	for h.gather() {
		batch := latestCounts(h.queue.take())
		if !h.deliver(ctx, batch) {
			h.abandon(batch)
			return
		}
		for _, e := range batch {
			e.receipt.release()
		}
	}
}

// gather waits for a batch and reports whether there is one.
func (h *hook) gather() bool {
	finish := h.finish
	for {
		wait, ok := h.queue.due(time.Now())
		if finish == nil || ok && wait == 0 {
			return ok
		}
		var enough <-chan time.Time
		if ok {
			enough = time.After(wait)
		}
		select {
		case <-h.queue.wake:
		case <-enough:
		case <-finish:
			finish = nil
		}
	}
}

// deliver sends a batch until it is taken or has failed for too long. It
// reports false when ctx ended before. A bug costs the batch.
func (h *hook) deliver(ctx context.Context, batch []event) (over bool) {
	defer func() {
		if v := recover(); v != nil {
			h.metrics.dropped.WithLabelValues(droppedPanic).Add(float64(len(batch)))
			h.log.Error("a bug: sending a webhook panicked, and its events are lost", "events", len(batch), "panic", v, "stack", string(debug.Stack()))
			over = true
		}
	}()
	body := encode(batch)
	giveUp := time.Now().Add(retryTime)
	finish := h.finish
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		result, err := h.post(ctx, body)
		h.metrics.requests.WithLabelValues(result).Inc()
		h.report(result, err)
		left := time.Until(giveUp)
		switch {
		case err == nil:
			for _, e := range batch {
				h.metrics.events.WithLabelValues(e.Name).Inc()
			}
			return true
		case left <= 0:
			h.metrics.dropped.WithLabelValues(droppedRetries).Add(float64(len(batch)))
			h.log.Warn("webhook events are lost: the receiver didn't take them for too long", "events", len(batch), "tried_for", retryTime, "err", err)
			return true
		}
		select {
		case <-time.After(min(jitter(pause), left)):
		case <-finish: // there is little time left, so try at once, and once
			finish, pause = nil, firstPause
		case <-ctx.Done():
		}
	}
	return false
}

// jitter shortens a pause by up to a half, so that hooks of one receiver don't
// come all at the same time.
func jitter(pause time.Duration) time.Duration {
	return pause/2 + rand.N(pause/2+1)
}

// report logs when a receiver begins to fail and when it works again, and
// events that the queue had no room for; tell must not, under its locks.
func (h *hook) report(result string, err error) {
	switch {
	case err == nil && h.failing:
		h.failing = false
		h.log.Info("webhook works again")
	case err != nil && !h.failing && result != resultCanceled:
		h.failing = true
		h.log.Warn("webhook failed and will be tried again", "result", result, "err", err)
	}
	if n := h.queue.lostSince(); n > 0 {
		h.log.Warn("webhook events are lost: too many are waiting for the receiver", "events", n)
	}
}

// abandon counts what the end of the daemon leaves: a batch and the queue.
func (h *hook) abandon(batch []event) {
	for ; len(batch) > 0; batch = h.queue.take() {
		h.missed += len(batch)
	}
	h.metrics.dropped.WithLabelValues(droppedShutdown).Add(float64(h.missed))
	h.log.Warn("webhook events are lost: the receiver didn't take them before the end", "events", h.missed)
}
