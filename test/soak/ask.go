package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// web asks nodes, which may be frozen.
var web = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true}}

// errNotSent is a request that reached nobody.
var errNotSent = errors.New("not sent")

// ask makes a signed request of a node's HTTP API. A status of 0: no answer.
func ask(addr, method, path string, params map[string]string, body []byte) (status int, text []byte, err error) {
	req, err := http.NewRequest(method, "http://"+addr+target(method, path, params, body), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	res, err := web.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return 0, nil, errNotSent
		}
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	return res.StatusCode, text, err
}

// read asks for something of a node's.
func (n *node) read(path string, params map[string]string, into any) error {
	addr, _, _ := n.at()
	status, text, err := ask(addr, http.MethodGet, path, params, nil)
	if err != nil {
		return fmt.Errorf("node %s, %s: %w", n.name, path, err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("node %s answered %s with %d: %s", n.name, path, status, text)
	}
	return json.Unmarshal(text, into)
}

// scrape is what a node's metrics told once.
type scrape struct {
	began, ended moment
	run          int
	values       map[string]float64 // by the name, and for some of them by the labels
}

// wanted are the metrics that a scrape keeps: as they are, or their sum.
var wanted = []string{
	"broadcastd_connections", "broadcastd_connections_total", "broadcastd_disconnections_total",
	"broadcastd_subscriptions", "broadcastd_deliveries_total", "broadcastd_events_total",
	"broadcastd_redis_up", "broadcastd_redis_reconnects_total", "broadcastd_cluster_nodes",
	"broadcastd_cluster_up", "broadcastd_cluster_outages_total",
	"broadcastd_log_gaps_total", "broadcastd_log_rewinds_total", "broadcastd_log_overflows_total",
	"broadcastd_webhook_dropped_total",
	metricMemory, metricHeap, metricGoroutines, metricFiles,
}

const (
	metricMemory     = "process_resident_memory_bytes"
	metricHeap       = "go_memstats_heap_inuse_bytes"
	metricGoroutines = "go_goroutines"
	metricFiles      = "process_open_fds"
)

// eventsBy is the name of broadcastd_events_total of one source.
func eventsBy(source string) string { return "broadcastd_events_total " + source }

// slowBy is the disconnections of slow clients.
const slowBy = "broadcastd_disconnections_total slow_consumer"

// scrape reads a node's metrics.
func (n *node) scrape() (s scrape, err error) {
	_, admin, run := n.at()
	s = scrape{began: n.s.now(), run: run, values: map[string]float64{}}
	text, err := get("http://" + admin + "/metrics")
	if err != nil {
		return s, err
	}
	s.ended = n.s.now()
	keep := map[string]bool{}
	for _, name := range wanted {
		keep[name] = true
	}
	for line := range strings.Lines(text) {
		full, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, labels, _ := strings.Cut(full, "{")
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !keep[name] {
			continue
		}
		s.values[name] += f
		for _, label := range []string{"source", "reason"} {
			if _, rest, ok := strings.Cut(labels, label+`="`); ok {
				what, _, _ := strings.Cut(rest, `"`)
				s.values[name+" "+what] += f
			}
		}
	}
	return s, nil
}

// watch scrapes a node each second, as Prometheus would, only more often.
func (n *node) watch(ctx context.Context) {
	for ticker := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s, err := n.scrape(); err == nil {
			n.mu.Lock()
			if s.run == n.runs {
				n.scrapes = append(n.scrapes, s)
			}
			n.mu.Unlock()
		}
	}
}

// ready is an error unless a node says that all is well.
func (n *node) ready() error {
	_, admin, _ := n.at()
	text, err := get("http://" + admin + "/readyz")
	if err == nil && !strings.Contains(text, `"status":"ready"`) {
		err = fmt.Errorf("node %s is not ready: %s", n.name, text)
	}
	return err
}

func get(url string) (string, error) {
	res, err := web.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
