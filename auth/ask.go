package auth

import (
	"context"
	"net/http"
	"time"
)

// ask puts the question to the API and lets read make what it will of the body
// of a 200 reply. The error is a *[Refusal].
func (a *API) ask(ctx context.Context, q question, read func(body []byte) *Refusal) error {
	refusal := a.askInTurn(ctx, q, read)
	a.metrics.requests.WithLabelValues(q.name, resultOf(refusal)).Inc()
	if refusal != nil {
		a.report(ctx, q, refusal)
		return refusal
	}
	return nil
}

func (a *API) askInTurn(ctx context.Context, q question, read func(body []byte) *Refusal) *Refusal {
	if refusal := q.check(a.cfg.Headers); refusal != nil {
		return refusal
	}
	if refusal := a.acquire(ctx); refusal != nil {
		return refusal
	}
	defer func() { <-a.slots }()

	a.metrics.inFlight.Inc()
	defer a.metrics.inFlight.Dec()
	start := time.Now()
	body, refusal := a.call(ctx, q)
	if refusal == nil {
		refusal = read(body)
	}
	a.metrics.seconds.WithLabelValues(q.name, resultOf(refusal)).Observe(time.Since(start).Seconds())
	return refusal
}

// acquire takes a slot; waiters get theirs in the order of their coming.
func (a *API) acquire(ctx context.Context) *Refusal {
	select {
	case a.slots <- struct{}{}:
		return nil
	default:
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > maxWaiting {
		return busy()
	}
	a.metrics.waiting.Inc()
	defer a.metrics.waiting.Dec()
	timer := time.NewTimer(a.cfg.MaxWait)
	defer timer.Stop()
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return busy()
	case <-ctx.Done():
		return canceled()
	}
}

// maxWaiting bounds the memory of those who wait; they all would wait for
// longer than MaxWait.
const maxWaiting = 50_000

func busy() *Refusal {
	return &Refusal{Reason: ReasonBusy, Status: http.StatusServiceUnavailable,
		Message: "too many clients wait for the API's authorisation: try again"}
}

func canceled() *Refusal {
	return &Refusal{Reason: ReasonCanceled, Status: statusClientGone, Message: "the client went away before the API had answered"}
}
