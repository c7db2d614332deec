package webhook

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPanicCostsOneBatch breaks what sends one: the next is sent.
func TestPanicCostsOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		n := &network{answer: func(*http.Request) int {
			if broken {
				broken = false
				panic("boom")
			}
			return http.StatusOK
		}}
		o, out, reg := options(n)
		s := mustNew(t, o)
		s.CacheMissed("cache-1")
		time.Sleep(time.Second)
		s.CacheMissed("cache-2")
		time.Sleep(time.Second)
		equal(t, "events", n.events(t, "hook.example"), []string{"cache_miss cache-1", "cache_miss cache-2"}) // the first before it panicked
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=panic}": 1,
			"broadcastd_webhook_events_total{app=1,event=cache_miss}":     1,
		})
		if !strings.Contains(out.String(), "boom") || !strings.Contains(out.String(), "post.go") {
			t.Errorf("neither the panic nor its stack is in the log:\n%s", out)
		}
		mustShutdown(t, s)
	})
}
