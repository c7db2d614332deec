package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/internal/server"
	"broadcastd/protocol"
)

// TestDescriptors counts open files around a whole life with clients of all
// kinds. It doesn't run beside other tests, which open files too.
func TestDescriptors(t *testing.T) {
	life(t) // what the runtime opens once
	before := descriptors(t)
	for range 2 {
		life(t)
	}
	var after []string
	eventually(t, func() bool {
		after = descriptors(t)
		return len(after) <= len(before)
	}, func() string { return fmt.Sprintf("files before %v, after %v", before, after) })
}

func descriptors(t *testing.T) (targets []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil { // ReadDir's own is gone
			targets = append(targets, target)
		}
	}
	return targets
}

// life runs a daemon from its start to its end.
func life(t *testing.T) {
	t.Helper()
	d := start(t)
	cfg := appConfig()
	cfg.Admin.Listen = d.Addr().String()
	if _, err := server.New(server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
		t.Fatal("a second daemon got the port of the first")
	}
	var clients []*client
	for range 10 {
		c := d.connect(t)
		c.subscribe("jobs", "presence-a")
		clients = append(clients, c)
	}
	refused := d.open(t, "/app/other?protocol=7")
	refused.wantError(4001)
	_ = refused.nc.Close()
	d.do(t, http.MethodGet, appTarget, nil, nil)
	clients[0].write(closeFrame(1000, ""))
	clients[1].write(frame(fin|opBinary, ""))
	clients[2].write(text("\xff"))
	_ = clients[3].nc.Close()
	for range 100 {
		e := protocol.Event{Channel: "jobs", Name: "e", Data: protocol.QuoteData(make([]byte, 50_000))}
		if err := d.Publish("redis", appID, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients[:6] {
		_ = c.nc.Close()
	}
	// The rest read nothing, and have to be cut off.
	_ = d.stop(within(t, 700*time.Millisecond))
	for _, c := range clients {
		_ = c.nc.Close()
	}
}
