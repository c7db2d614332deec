package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"broadcastd/protocol"
)

// warnEvery bounds the warnings about an API that fails: one per kind of
// question and reason in this time. The metrics count every refusal.
const warnEvery = time.Minute

// Results of calls, and of requests that ended before a call.
var (
	callResults = []string{
		resultOK, ReasonUnauthorized, ReasonForbidden, ReasonClientError, ReasonServerError, ReasonRedirect,
		ReasonTimeout, ReasonUnreachable, ReasonTooLarge, ReasonBadReply, ReasonNoMember, ReasonNoUser, ReasonNoSecret,
		ReasonBadSignature, ReasonCanceled,
	}
	ownResults = []string{ReasonBadChannel, ReasonMalformed, ReasonBusy}
)

// ordinary are the refusals that a sound API gives day in, day out.
var ordinary = map[string]bool{
	ReasonUnauthorized: true, ReasonForbidden: true, ReasonBadChannel: true, ReasonMalformed: true, ReasonCanceled: true,
}

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	waiting  prometheus.Gauge
	cache    *prometheus.CounterVec
}

// What became of a question where yeses are kept.
const (
	cacheHit    = "hit"    // a yes was kept
	cacheJoined = "joined" // another client's call gave the answer
	cacheAsked  = "asked"  // the API was asked
)

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	m := &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_auth_requests_total",
			Help: "Requests for authorisation by the API, by what was asked for (channel or user) and result.",
		}, []string{"kind", "result"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "broadcastd_auth_request_seconds",
			Help: "Time that the API took to answer, by what was asked for and result; the wait for a free slot is not in it.",
		}, []string{"kind", "result"}),
		inFlight: factory.NewGauge(prometheus.GaugeOpts{
			Name: "broadcastd_auth_requests_in_flight",
			Help: "Calls to the API under way.",
		}),
		waiting: factory.NewGauge(prometheus.GaugeOpts{
			Name: "broadcastd_auth_requests_waiting",
			Help: "Requests for authorisation that wait for a free slot.",
		}),
		cache: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_auth_cache_total",
			Help: "Questions about channels while auth.cache is set: answered by a yes that was kept (hit), by a call that was under way (joined), or by a call (asked).",
		}, []string{"result"}),
	}
	for _, result := range []string{cacheHit, cacheJoined, cacheAsked} {
		m.cache.WithLabelValues(result)
	}
	for _, k := range []*kind{askChannel, askUser} {
		for _, result := range callResults {
			m.requests.WithLabelValues(k.name, result)
			m.seconds.WithLabelValues(k.name, result)
		}
		for _, result := range ownResults {
			m.requests.WithLabelValues(k.name, result)
		}
	}
	return m
}

func resultOf(refusal *Refusal) string {
	if refusal == nil {
		return resultOK
	}
	return refusal.Reason
}

// report logs a refusal: as a warning if the API is at fault or missing.
func (a *API) report(ctx context.Context, q question, refusal *Refusal) {
	level := slog.LevelDebug
	if !ordinary[refusal.Reason] && a.warnings.due(q.name+" "+refusal.Reason, time.Now()) {
		level = slog.LevelWarn
	}
	channel := q.channel[:min(len(q.channel), protocol.MaxChannelName)]
	a.log.Log(ctx, level, "authorisation refused",
		"kind", q.name, "reason", refusal.Reason, "status", refusal.Status, "channel", channel, "err", refusal, "cause", refusal.cause)
}

// warnings remembers when something was last worth a warning.
type warnings struct {
	mu   sync.Mutex
	last map[string]time.Time // guarded by mu
}

func (w *warnings) due(what string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, seen := w.last[what]; seen && now.Sub(last) < warnEvery {
		return false
	}
	if w.last == nil {
		w.last = map[string]time.Time{}
	}
	w.last[what] = now
	return true
}
