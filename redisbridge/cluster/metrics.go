package cluster

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// entryResult is what became of an entry that was read.
type entryResult uint8

const (
	entryOK       entryResult = iota
	entryRepeated             // delivered before
	entryRefused              // no event
	entryUnknown              // of a type that this version doesn't know
)

var entryResults = [...]string{entryOK: "ok", entryRepeated: "repeated", entryRefused: "refused", entryUnknown: "unknown"}

type metrics struct {
	nodes        *prometheus.GaugeVec
	kept         prometheus.Gauge
	entries      [len(entryResults)]prometheus.Counter
	gaps         prometheus.Counter
	rewinds      prometheus.Counter
	repeated     prometheus.Counter
	badSockets   prometheus.Counter
	overflows    prometheus.Counter
	declarations prometheus.Counter
	outages      prometheus.Counter
	rejoins      prometheus.Counter
	cleaned      prometheus.Counter
}

// newMetrics registers them. up tells whether Redis is in reach.
func newMetrics(reg prometheus.Registerer, up func() bool) (*metrics, error) {
	all := []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "broadcastd_cluster_up", Help: "1 while the cluster's Redis answers, for all logs.",
	}, func() float64 {
		if up() {
			return 1
		}
		return 0
	})}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		all = append(all, g)
		return g
	}
	entries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "broadcastd_log_entries_total", Help: "Entries of the logs that this node read: ok, or why they were not delivered.",
	}, []string{"result"})
	nodes := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "broadcastd_cluster_nodes", Help: "Nodes that serve an app, this one too, when Redis last told.",
	}, []string{"app"})
	all = append(all, entries, nodes)
	m := &metrics{
		nodes:        nodes,
		kept:         gauge("broadcastd_cluster_kept_logs", "Logs of which this node is the keeper, when Redis last told."),
		gaps:         counter("broadcastd_log_gaps_total", "Times that a log was cut before this node had read it: events were missed."),
		rewinds:      counter("broadcastd_log_rewinds_total", "Times that a Redis lacked entries that this node had read."),
		repeated:     counter("broadcastd_log_repeats_total", "Entries added once more because a Redis had lost them."),
		badSockets:   counter("broadcastd_log_bad_sockets_total", "Events of the log whose socket to exclude is none; they reach everyone."),
		overflows:    counter("broadcastd_log_overflows_total", "Client events and webhook notices lost because too much waited for a slow Redis."),
		declarations: counter("broadcastd_cluster_declarations_total", "Declarations of who is in a channel here."),
		outages:      counter("broadcastd_cluster_outages_total", "Times that the cluster's Redis went out of reach."),
		rejoins:      counter("broadcastd_cluster_rejoins_total", "Times that this node's lease had run out, or was forgotten, and all was declared anew."),
		cleaned:      counter("broadcastd_cluster_cleanups_total", "Dead nodes that this one cleaned up after, once for each log."),
	}
	for i, name := range entryResults {
		m.entries[i] = entries.WithLabelValues(name)
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("metrics of the cluster: %w", err)
		}
	}
	return m, nil
}
