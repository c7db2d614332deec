package redisbridge

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	up         prometheus.Gauge
	reconnects prometheus.Counter
	badSockets prometheus.Counter
	ok         prometheus.Counter
	skipped    map[*Reason]prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "broadcastd_redis_messages_total",
		Help: "Messages from Redis: ok, or why they were skipped.",
	}, []string{"result"})
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "broadcastd_redis_up",
			Help: "Whether the subscription in Redis stands.",
		}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "broadcastd_redis_reconnects_total",
			Help: "Times that the subscription was restored after a loss; events published in between are lost.",
		}),
		badSockets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "broadcastd_redis_bad_sockets_total",
			Help: "Events whose socket to exclude is none, such as \"undefined\"; they reach everyone.",
		}),
		ok:      messages.WithLabelValues("ok"),
		skipped: map[*Reason]prometheus.Counter{},
	}
	for _, reason := range reasons() {
		m.skipped[reason] = messages.WithLabelValues(reason.Label)
	}
	for _, collector := range []prometheus.Collector{m.up, m.reconnects, m.badSockets, messages} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("metrics of redis: %w", err)
		}
	}
	return m, nil
}
