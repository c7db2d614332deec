package webhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestShutdownFlushes: what is held, queued or being tried again is sent
// before the end, and nothing afterwards.
func TestShutdownFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		n := &network{answer: func(*http.Request) int {
			if !works.Load() {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		}}
		o, _, reg := options(n)
		s := mustNew(t, o)
		s.Occupied("a")
		time.Sleep(4 * time.Minute) // now it is tried every half a minute at most
		works.Store(true)
		s.Occupied("b")
		s.Vacated("a")
		s.Vacated("b")
		began := time.Now()
		mustShutdown(t, s)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v, though nothing had to be waited for", took)
		}
		s.Occupied("c")
		s.Vacated("c")
		time.Sleep(time.Minute)
		got := n.events(t, "hook.example")
		i := slices.Index(got, "channel_occupied b")
		equal(t, "told", got[i-1:], []string{"channel_occupied a", "channel_occupied b", "channel_vacated a", "channel_vacated b"})
		mustShutdown(t, s)
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_events_total{app=1,event=channel_occupied}":  2,
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=shutdown}": 0,
		})
	})
}

// TestShutdownIsBounded: one receiver fails and one hangs; a third gets
// everything all the same.
func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: func(req *http.Request) int {
			switch req.URL.Host {
			case "fails.example":
				return 0
			case "hangs.example":
				<-req.Context().Done()
			}
			return http.StatusOK
		}}
		o, out, reg := options(n)
		o.Hooks = []Hook{{URL: "http://fails.example"}, {URL: "http://hangs.example"}, {URL: "http://works.example"}}
		s := mustNew(t, o)
		for i := range 150 {
			s.Occupied(fmt.Sprint("c", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := s.Shutdown(ctx)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %v, want 5s", took)
		}
		if want := "300 webhook events were not delivered before the end"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %q", err, want)
		}
		if told := len(n.events(t, "works.example")); told != 150 {
			t.Errorf("the receiver that works was told %d events, want 150", told)
		}
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=shutdown}":   150,
			"broadcastd_webhook_dropped_total{app=1,hook=1,reason=shutdown}":   150,
			"broadcastd_webhook_dropped_total{app=1,hook=2,reason=shutdown}":   0,
			"broadcastd_webhook_requests_total{app=1,hook=1,result=canceled}":  1,
			"broadcastd_webhook_queue{app=1,hook=0}":                           0,
			"broadcastd_webhook_events_total{app=1,event=channel_occupied}":    150,
			"broadcastd_webhook_requests_total{app=1,hook=2,result=ok}":        2,
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=queue_full}": 0,
		})
		if out.count("webhook events are lost: the receiver didn't take them before the end") != 2 {
			t.Errorf("the log:\n%s", out)
		}
	})
}
