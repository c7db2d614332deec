package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"broadcastd/protocol"
)

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s := mustNew(t, o)
		began := time.Now()
		for i := range 250 {
			s.CacheMissed(fmt.Sprint("cache-", i))
		}
		time.Sleep(30 * time.Millisecond)
		s.CacheMissed("cache-250")
		time.Sleep(time.Second)
		s.CacheMissed("cache-251")
		time.Sleep(time.Second)
		var got, want []string
		for _, p := range n.all() {
			var ms int64
			if _, err := fmt.Sscanf(p.body, `{"time_ms":%d,`, &ms); err != nil {
				t.Fatalf("a body begins with %.30s: %v", p.body, err)
			}
			got = append(got, fmt.Sprint(len(eventsOf(t, p.body)), " of ", ms-began.UnixMilli(), "ms after ", p.at.Sub(began)))
		}
		for i := range 252 {
			want = append(want, fmt.Sprint("cache_miss cache-", i))
		}
		equal(t, "requests", got, []string{"100 of 0ms after 0s", "100 of 0ms after 0s", "51 of 0ms after 50ms", "1 of 1030ms after 1.08s"})
		equal(t, "events", n.events(t, "hook.example"), want)
		mustShutdown(t, s)
	})
}

func TestBatchesAreBoundedInSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s := mustNew(t, o)
		for _, kib := range []int{100, 100, 100, 300, 1} {
			s.ClientEvent(&protocol.Event{Channel: "private-c", Name: "client-e", Data: []byte(`"` + strings.Repeat("a", kib<<10) + `"`), Except: 1})
		}
		time.Sleep(time.Second)
		var got []string
		for _, p := range n.all() {
			got = append(got, fmt.Sprint(len(p.body)>>10))
		}
		equal(t, "KiB of the bodies", got, []string{"200", "100", "300", "1"})
		mustShutdown(t, s)
	})
}

// TestCountsAreCoalesced: of a channel's counts in one batch the last counts.
func TestCountsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, reg := options(n)
		s := mustNew(t, o)
		s.SubscriptionCount("a", 1)
		s.SubscriptionCount("b", 0)
		s.Occupied("c")
		s.SubscriptionCount("a", 2)
		time.Sleep(time.Second)
		s.SubscriptionCount("a", 3)
		time.Sleep(time.Second)
		equal(t, "told", n.events(t, "hook.example"),
			[]string{"subscription_count b 0", "channel_occupied c", "subscription_count a 2", "subscription_count a 3"})
		mustShutdown(t, s)
		wantMetrics(t, reg, map[string]float64{"broadcastd_webhook_events_total{app=1,event=subscription_count}": 3})
	})
}

// TestRetries: what failed is sent again, the same, before all later events.
func TestRetries(t *testing.T) {
	for name, status := range map[string]int{"500": 500, "404": 404, "302": 302, "199": 199, "broken": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				failures := 4
				n := &network{answer: func(*http.Request) int {
					if failures--; failures >= 0 {
						return status
					}
					return http.StatusAccepted
				}}
				o, out, reg := options(n)
				s := mustNew(t, o)
				s.Occupied("a")
				time.Sleep(time.Second)
				s.Occupied("b")
				time.Sleep(time.Minute)
				posts := n.all()
				if len(posts) != 6 {
					t.Fatalf("%d requests, want 5 of the first batch and 1 of the second", len(posts))
				}
				pause := firstPause
				for i := 1; i < 5; i++ {
					if posts[i].body != posts[0].body || posts[i].header.Get("X-Pusher-Signature") != posts[0].header.Get("X-Pusher-Signature") {
						t.Errorf("request %d differs from the first", i)
					}
					if d := posts[i].at.Sub(posts[i-1].at); d < pause/2 || d > pause {
						t.Errorf("pause %d is %v, want %v to %v", i, d, pause/2, pause)
					}
					pause *= 2
				}
				equal(t, "the last", eventsOf(t, posts[5].body), []string{"channel_occupied b"})
				mustShutdown(t, s)
				result := "refused"
				if status == 0 {
					result = "unreachable"
				}
				wantMetrics(t, reg, map[string]float64{
					"broadcastd_webhook_requests_total{app=1,hook=0,result=" + result + "}": 4,
					"broadcastd_webhook_requests_total{app=1,hook=0,result=ok}":             2,
					"broadcastd_webhook_events_total{app=1,event=channel_occupied}":         2,
				})
				if out.count("webhook failed") != 1 || out.count("webhook works again") != 1 {
					t.Errorf("the log:\n%s", out)
				}
			})
		})
	}
}

// TestGivesUp: after five minutes a batch is dropped, and the next one has its
// own five minutes.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: func(*http.Request) int { return http.StatusInternalServerError }}
		o, out, reg := options(n)
		s := mustNew(t, o)
		s.Occupied("a")
		s.Occupied("b")
		time.Sleep(time.Second)
		s.Occupied("c")
		time.Sleep(6 * time.Minute)
		posts := n.all()
		next := slices.IndexFunc(posts, func(p post) bool { return strings.Contains(p.body, `"c"`) })
		if d := posts[next-1].at.Sub(posts[0].at); d != retryTime {
			t.Errorf("the last try was %v after the first, want %v", d, retryTime)
		}
		if d := posts[next].at.Sub(posts[next-1].at); d != 0 {
			t.Errorf("the next batch began %v after the last try", d)
		}
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=retries}": 2,
			"broadcastd_webhook_events_total{app=1,event=channel_occupied}": 0,
		})
		if out.count("webhook events are lost: the receiver didn't take them for too long") != 1 || out.count("webhook failed") != 1 {
			t.Errorf("the log:\n%s", out)
		}
		time.Sleep(10 * time.Minute)
		mustShutdown(t, s)
		wantMetrics(t, reg, map[string]float64{"broadcastd_webhook_dropped_total{app=1,hook=0,reason=retries}": 3})
	})
}

// TestHangingReceiver delays nothing but its own hook.
func TestHangingReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: func(req *http.Request) int {
			if req.URL.Host == "hangs.example" {
				<-req.Context().Done()
			}
			return http.StatusOK
		}}
		o, out, reg := options(n)
		o.Hooks = []Hook{{URL: "http://hangs.example"}, {URL: "http://works.example"}}
		s := mustNew(t, o)
		var want []string
		for i := range 20 {
			s.Occupied(fmt.Sprint("c", i))
			want = append(want, fmt.Sprint("channel_occupied c", i))
			time.Sleep(time.Second)
		}
		equal(t, "told the one that works", n.events(t, "works.example"), want)
		time.Sleep(10 * time.Minute)
		mustShutdown(t, s)
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_requests_total{app=1,hook=1,result=ok}":      20,
			"broadcastd_webhook_requests_total{app=1,hook=1,result=timeout}": 0,
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=retries}":  20,
		})
		if !strings.Contains(out.String(), `result=timeout err="no answer within 10s"`) {
			t.Errorf("the log:\n%s", out)
		}
	})
}

// TestOverflow: a full queue loses what is new, counts it, and says so.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		n := &network{answer: func(*http.Request) int {
			if !works.Load() {
				return http.StatusBadGateway
			}
			return http.StatusOK
		}}
		o, out, reg := options(n)
		o.MaxQueue = 10 * (&event{Channel: "c0"}).cost()
		s := mustNew(t, o)
		s.Occupied("a")
		time.Sleep(time.Second) // it has been taken from the queue
		for i := range 13 {
			s.Occupied(fmt.Sprint("c", i%10))
		}
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_queue{app=1,hook=0}":                           10,
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=queue_full}": 3,
		})
		time.Sleep(time.Minute)
		if !strings.Contains(out.String(), `too many are waiting for the receiver" app=1 hook=0 host=hook.example events=3`) {
			t.Errorf("the log:\n%s", out)
		}
		works.Store(true)
		time.Sleep(time.Minute)
		s.Occupied("b")
		time.Sleep(time.Second)
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprint("channel_occupied c", i))
		}
		got := n.events(t, "hook.example")
		equal(t, "told", got[len(got)-11:], append(want, "channel_occupied b"))
		mustShutdown(t, s)
	})
}
