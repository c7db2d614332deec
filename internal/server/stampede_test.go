package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"broadcastd/internal/config"
)

// TestStampede has a thousand clients, each with a token of its own, come back at
// once to a server whose API is slow: the API gets as many calls as it is said to
// bear, nobody is refused, and who is in already hears everything meanwhile.
func TestStampede(t *testing.T) {
	t.Parallel()
	const clients, slots, events = 1000, 16, 50
	var underWay, most, calls atomic.Int64
	hold := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := underWay.Add(1)
		defer underWay.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		calls.Add(1)
		<-hold
		_, _ = w.Write([]byte("true"))
	}))
	t.Cleanup(api.Close)
	d := start(t, func(c *config.Config) {
		c.Auth.Endpoint, c.Auth.MaxConcurrent, c.Auth.MaxWait, c.Auth.Timeout = api.URL, slots, patience, patience
	})
	healthy := d.connect(t)
	healthy.subscribe("jobs", "private-healthy")

	crowd := make([]*client, clients)
	for i := range crowd {
		crowd[i] = d.connect(t, fmt.Sprintf("Authorization: Bearer token-%d", i))
		crowd[i].subscribeUnsigned(private)
	}
	d.waitMetric(t, "broadcastd_auth_requests_in_flight", slots)
	d.waitMetric(t, "broadcastd_auth_requests_waiting", clients-slots)
	for i := range events {
		data := fmt.Sprint(i)
		d.publish(t, "jobs", "e", data)
		healthy.wantEvent("jobs", "e", data)
		d.publish(t, "private-healthy", "e", data)
		healthy.wantEvent("private-healthy", "e", data)
	}
	if n := calls.Load(); n > slots {
		t.Errorf("%d calls, while none was answered", n)
	}
	close(hold)
	for i, c := range crowd {
		if got := c.raw(); got != succeeded {
			t.Fatalf("client %d heard %s", i, got)
		}
	}
	if most.Load() != slots || calls.Load() != clients {
		t.Errorf("%d calls at a time and %d in all, want %d and %d", most.Load(), calls.Load(), slots, clients)
	}
}
