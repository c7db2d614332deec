package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"broadcastd/auth"
	"broadcastd/internal/socket"
	"broadcastd/protocol"
)

// metrics are counted where things happen; what merely is, collector reads
// when it is asked.
type metrics struct {
	connections          *prometheus.CounterVec
	refusedConnections   *prometheus.CounterVec
	disconnections       *prometheus.CounterVec
	refusedSubscriptions *prometheus.CounterVec
	events               *prometheus.CounterVec
	unheard              *prometheus.CounterVec
	refusedSignins       *prometheus.CounterVec
	refusedRequests      *prometheus.CounterVec
	refusedEvents        *prometheus.CounterVec
	plainEvents          *prometheus.CounterVec
	httpRequests         *prometheus.CounterVec
	revalidations        *prometheus.CounterVec
	grantsElsewhere      prometheus.Counter
	panics               *prometheus.CounterVec
	acceptFailures       prometheus.Counter
	delivery             prometheus.Histogram
	reloads              *prometheus.CounterVec
	configLoaded         prometheus.Gauge
}

func newMetrics(reg *prometheus.Registry, version string) *metrics {
	f := promauto.With(reg)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f.NewGauge(prometheus.GaugeOpts{
		Name: "broadcastd_build_info", Help: "1, labelled with the version.",
		ConstLabels: prometheus.Labels{"version": version},
	}).Set(1)
	m := &metrics{
		connections: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_connections_total", Help: "Connections accepted."}, []string{"app"}),
		refusedConnections: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_connections_refused_total", Help: "Connections refused at the handshake, by reason."}, []string{"reason"}),
		disconnections: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_disconnections_total", Help: "Connections ended, by reason."}, []string{"reason"}),
		refusedSubscriptions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_subscriptions_refused_total", Help: "Subscriptions refused, by reason."}, []string{"reason"}),
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_events_total", Help: "Events accepted, once for each channel, by source."}, []string{"app", "source"}),
		unheard: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_events_unheard_total", Help: "Accepted events for channels that had no subscriber, by source."}, []string{"app", "source"}),
		refusedSignins: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_sign_ins_refused_total", Help: "Sign-ins refused, by reason."}, []string{"reason"}),
		refusedRequests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_http_api_refused_total", Help: "Requests of the HTTP API refused, by reason."}, []string{"reason"}),
		refusedEvents: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_events_refused_total", Help: "Events of the HTTP API over max_events_per_second, once for each channel."}, []string{"app"}),
		plainEvents: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_plain_events_total", Help: "Events for encrypted channels that were not encrypted."}, []string{"app", "source"}),
		httpRequests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_http_requests_total", Help: "HTTP requests answered, by route and status code."}, []string{"route", "code"}),
		revalidations: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_auth_revalidations_total", Help: "Subscriptions that the API was asked about again: kept, ended, or kept since it gave no clear answer (unsure)."}, []string{"result"}),
		grantsElsewhere: f.NewCounter(prometheus.CounterOpts{
			Name: "broadcastd_auth_grants_elsewhere_total", Help: "Grants to connections that are not on this node, which the API is not asked about again."}),
		panics: f.NewCounterVec(prometheus.CounterOpts{
			Name: "broadcastd_panics_total", Help: "Bugs that ended what they were in, by place."}, []string{"place"}),
		acceptFailures: f.NewCounter(prometheus.CounterOpts{
			Name: "broadcastd_accept_failures_total", Help: "Attempts to accept a connection that failed for want of descriptors or memory."}),
		delivery: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "broadcastd_delivery_seconds",
			Help:    "Time from an event's receipt until a flusher had written it to all its subscribers that were keeping up.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}),
	}
	m.reloads = f.NewCounterVec(prometheus.CounterOpts{
		Name: "broadcastd_reloads_total", Help: "Reloads of the configuration, by result: ok or failed."}, []string{"result"})
	m.configLoaded = f.NewGauge(prometheus.GaugeOpts{
		Name: "broadcastd_config_loaded_timestamp_seconds", Help: "When the configuration was last read and applied, as Unix time."})
	m.configLoaded.SetToCurrentTime()
	for _, result := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(result)
	}
	m.refusedRequests.WithLabelValues("rate_limit")
	for _, r := range socket.Reasons() {
		m.disconnections.WithLabelValues(r.Label)
	}
	for _, result := range []string{"kept", "ended", "unsure"} {
		m.revalidations.WithLabelValues(result)
	}
	for _, reason := range auth.SignatureReasons() {
		m.refusedRequests.WithLabelValues(reason)
		m.refusedSubscriptions.WithLabelValues(reason)
		m.refusedSignins.WithLabelValues(reason)
	}
	for _, place := range []string{placeMessage, placeEnd, placeAuthorise, placeRequest, placeEvent} {
		m.panics.WithLabelValues(place)
	}
	return m
}

// sourceMetrics count an app's events of one source.
type sourceMetrics struct{ events, unheard, plain prometheus.Counter }

// ofSources resolves the labels of an app's events once for all of them.
func (m *metrics) ofSources(appID string) map[Source]sourceMetrics {
	m.refusedEvents.WithLabelValues(appID)
	all := map[Source]sourceMetrics{}
	for _, source := range []Source{SourceRedis, SourceHTTP, SourceClient, SourceStream} {
		all[source] = sourceMetrics{
			events:  m.events.WithLabelValues(appID, string(source)),
			unheard: m.unheard.WithLabelValues(appID, string(source)),
			plain:   m.plainEvents.WithLabelValues(appID, string(source)),
		}
	}
	return all
}

func (m *metrics) written(d time.Duration) { m.delivery.Observe(d.Seconds()) }

// collector shows present sizes, and counters that are kept elsewhere.
type collector struct{ server *Server }

var (
	descConnections = prometheus.NewDesc("broadcastd_connections", "Connections now.", []string{"app"}, nil)
	descOpen        = prometheus.NewDesc("broadcastd_open_connections", "TCP connections of clients and of the HTTP API now, those included that have asked nothing yet; refused are those over a limit.", []string{"state"}, nil)
	descMost        = prometheus.NewDesc("broadcastd_max_connections", "TCP connections that may be served at a time.", nil, nil)
	descChannels    = prometheus.NewDesc("broadcastd_channels", "Channels with subscribers now, by kind.", []string{"app", "kind"}, nil)
	descSubs        = prometheus.NewDesc("broadcastd_subscriptions", "Subscriptions now, by kind of channel.", []string{"app", "kind"}, nil)
	descDelivered   = prometheus.NewDesc("broadcastd_deliveries_total", "Copies of events given to connections.", nil, nil)
	descBytes       = prometheus.NewDesc("broadcastd_sent_bytes_total", "Bytes written to WebSocket connections.", nil, nil)
	descDraining    = prometheus.NewDesc("broadcastd_draining", "1 from SIGTERM on.", nil, nil)
	descWatched     = prometheus.NewDesc("broadcastd_auth_revalidated_subscriptions", "Subscriptions now that the API will be asked about again.", nil, nil)
	descBacklog     = prometheus.NewDesc("broadcastd_backlog", "Items that wait for a flusher now.", nil, nil)
)

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descConnections, descOpen, descMost, descChannels, descSubs, descDelivered, descBytes, descBacklog, descDraining, descWatched} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	s := c.server
	for _, a := range s.served.Load().byID {
		gauge(descConnections, a.connections.Load(), a.id)
		for _, kind := range protocol.Kinds() {
			n := a.hub.Stats().Of(kind)
			gauge(descChannels, n.Channels.Load(), a.id, kind.String())
			gauge(descSubs, n.Subscriptions.Load(), a.id, kind.String())
		}
	}
	served, refused, most := s.limits.sizes()
	gauge(descOpen, int64(served), "served")
	gauge(descOpen, int64(refused), "refused")
	gauge(descMost, int64(most))
	counter(descDelivered, s.flushers.Delivered())
	counter(descBytes, s.flushers.Bytes())
	gauge(descBacklog, s.flushers.Backlog())
	gauge(descWatched, int64(s.again.waiting()))
	draining := int64(0)
	if s.leavingSoon.Load() {
		draining = 1
	}
	gauge(descDraining, draining)
}
