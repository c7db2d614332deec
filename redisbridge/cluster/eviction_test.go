package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
	"broadcastd/test/redistest"
)

func TestARedisThatEvicts(t *testing.T) {
	for _, policy := range []string{"noeviction", "allkeys-lru"} {
		var log bytes.Buffer
		c, err := New(Options{
			URL: redistest.Start(t, "--maxmemory-policy", policy).URL(), Partitions: 1, Apps: 1,
			Log: slog.New(slog.NewTextHandler(&log, nil)), Registerer: prometheus.NewRegistry(),
		})
		must(t, err)
		newPartition(c, channels.Node{}, 0).warnOfEviction(t.Context())
		if warned := strings.Contains(log.String(), "maxmemory_policy=allkeys-lru"); warned != (policy == "allkeys-lru") {
			t.Errorf("%s: %s", policy, log.String())
		}
		must(t, c.client.Close())
	}
}
