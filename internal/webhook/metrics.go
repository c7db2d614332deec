package webhook

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Results of requests, as metrics name them.
const (
	resultOK          = "ok"
	resultRefused     = "refused" // a status other than 2xx
	resultTimeout     = "timeout"
	resultUnreachable = "unreachable" // no answer, or one that isn't HTTP
	resultCanceled    = "canceled"    // by the end of the daemon
)

// Reasons for which events are dropped.
const (
	droppedFull     = "queue_full"
	droppedRetries  = "retries" // failed for as long as it is tried
	droppedShutdown = "shutdown"
	droppedPanic    = "panic" // a bug
)

// Metrics are shared by all apps of a daemon. Hooks are labelled with their
// place in the configuration, since their URLs can hold secrets.
type Metrics struct {
	requests *prometheus.CounterVec
	events   *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	queue    *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_webhook_requests_total", Help: "Requests to webhooks, repeated ones too, by result."}, []string{"app", "hook", "result"}),
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_webhook_events_total", Help: "Events that webhooks took, by name."}, []string{"app", "event"}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_webhook_dropped_total", Help: "Events that a webhook never took, by reason."}, []string{"app", "hook", "reason"}),
		queue: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "broadcastd_webhook_queue", Help: "Events that wait for a webhook now, but for those of a request under way."}, []string{"app", "hook"}),
	}
}

// hookMetrics are one hook's.
type hookMetrics struct {
	requests *prometheus.CounterVec // by result
	events   *prometheus.CounterVec // by event
	dropped  *prometheus.CounterVec // by reason
	queue    prometheus.Gauge
}

func (m *Metrics) of(app string, hook int) hookMetrics {
	labels := prometheus.Labels{"app": app, "hook": strconv.Itoa(hook)}
	h := hookMetrics{
		requests: m.requests.MustCurryWith(labels),
		events:   m.events.MustCurryWith(prometheus.Labels{"app": app}),
		dropped:  m.dropped.MustCurryWith(labels),
		queue:    m.queue.With(labels),
	}
	for _, result := range []string{resultOK, resultRefused, resultTimeout, resultUnreachable, resultCanceled} {
		h.requests.WithLabelValues(result)
	}
	for _, name := range Names() {
		h.events.WithLabelValues(name)
	}
	for _, reason := range []string{droppedFull, droppedRetries, droppedShutdown, droppedPanic} {
		h.dropped.WithLabelValues(reason)
	}
	return h
}
