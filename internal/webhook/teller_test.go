package webhook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadcastd/protocol"
)

// receipts write down what is done with.
type receipts struct {
	mu  sync.Mutex
	ids []string // guarded by mu
}

// telling is s.Telling for a receiver of receipts, which calls s as whoever is
// told may.
func (r *receipts) telling(s *Sender, id string) Teller {
	return s.Telling(id, func() {
		s.Occupied("private-of-nobody")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids = append(r.ids, id)
	})
}

// expect demands what was done with since the last call, whatever its order.
func (r *receipts) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.ids)
	equal(t, when+", done is", r.ids, want)
	r.ids = nil
}

func TestTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s := mustNew(t, o)
		for i, tell := range []func(Teller){
			func(w Teller) { w.Occupied("presence-c") },
			func(w Teller) { w.MemberAdded("presence-c", "7") },
			func(w Teller) { w.CacheMissed("cache-c") },
			func(w Teller) { w.SubscriptionCount("c", 2) },
			func(w Teller) {
				w.ClientEvent(&protocol.Event{Channel: "private-c", Name: "client-e", Data: []byte("1"), Except: 1 << 32})
			},
			func(w Teller) { w.MemberRemoved("presence-c", "7") },
			func(w Teller) { w.Vacated("presence-c") },
		} {
			tell(s.Telling(fmt.Sprint("id-", i), func() {}))
		}
		s.Occupied("d") // without an id
		time.Sleep(time.Minute)
		equal(t, "told", n.events(t, "hook.example"), []string{
			"channel_occupied presence-c id-0", "member_added presence-c 7 id-1", "cache_miss cache-c id-2",
			"subscription_count c 2 id-3", "client_event private-c client-e 1 1.0 id-4", "channel_occupied d",
			"member_removed presence-c 7 id-5", "channel_vacated presence-c id-6",
		})
		mustShutdown(t, s)
	})
}

func TestTellingIsDone(t *testing.T) {
	// setUp makes a sender whose first hook hears of all and whose second takes
	// nothing before works is closed; it hears of presence channels.
	setUp := func(t *testing.T, change func(*Options)) (s *Sender, r *receipts, works chan struct{}) {
		works = make(chan struct{})
		n := &network{answer: func(req *http.Request) int {
			if req.URL.Host == "slow.example" {
				select {
				case <-works:
				default:
					return http.StatusServiceUnavailable
				}
			}
			return http.StatusOK
		}}
		o, _, _ := options(n)
		o.Hooks = []Hook{{URL: "http://quick.example", Prefix: "p"}, {URL: "http://slow.example", Prefix: "presence-"}}
		if change != nil {
			change(&o)
		}
		return mustNew(t, o), &receipts{}, works
	}
	for name, test := range map[string]func(*testing.T){
		"nobody hears of it": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			r.telling(s, "1").Occupied("x")
			r.telling(s, "2").ClientEvent(&protocol.Event{Channel: "x", Data: []byte("1")})
			r.telling(s, "3").Vacated("#server-to-user-7")
			r.expect(t, "at once", "1", "2", "3")
			mustShutdown(t, s)
		},
		"one takes it": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			r.telling(s, "1").CacheMissed("private-cache-c")
			r.expect(t, "before it is sent")
			time.Sleep(time.Second)
			r.expect(t, "then", "1")
			mustShutdown(t, s)
		},
		"all take it": func(t *testing.T) {
			s, r, works := setUp(t, nil)
			r.telling(s, "1").Occupied("presence-c")
			time.Sleep(time.Minute)
			r.expect(t, "while one doesn't")
			close(works)
			time.Sleep(time.Minute)
			r.expect(t, "then", "1")
			mustShutdown(t, s)
		},
		"it is given up": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			r.telling(s, "1").Occupied("presence-c")
			time.Sleep(time.Hour)
			r.expect(t, "in the end", "1")
			mustShutdown(t, s)
		},
		"there is no room": func(t *testing.T) {
			s, r, _ := setUp(t, func(o *Options) { o.MaxQueue = 100 })
			r.telling(s, "1").Occupied("private-c")
			r.expect(t, "at once", "1")
			mustShutdown(t, s)
		},
		"a departure": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			r.telling(s, "1").Vacated("private-c")
			time.Sleep(2 * time.Second)
			r.expect(t, "while it is held back")
			time.Sleep(2 * time.Second)
			r.expect(t, "then", "1")
			mustShutdown(t, s)
		},
		"a return": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			r.telling(s, "1").MemberRemoved("presence-c", "7")
			r.telling(s, "2").MemberAdded("presence-c", "8")
			r.expect(t, "before")
			r.telling(s, "3").MemberAdded("presence-c", "7")
			r.expect(t, "when both are known", "1", "3")
			s.cancel()
			_ = s.Shutdown(t.Context())
		},
		"later counts": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			for i := range 3 {
				r.telling(s, fmt.Sprint(i)).SubscriptionCount("private-c", i)
			}
			time.Sleep(time.Second)
			r.expect(t, "with the last", "0", "1", "2")
			mustShutdown(t, s)
		},
		"the end": func(t *testing.T) {
			s, r, _ := setUp(t, nil)
			r.telling(s, "1").Occupied("private-c")
			r.telling(s, "2").Occupied("presence-c")
			r.telling(s, "3").Vacated("private-d")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := s.Shutdown(ctx); err == nil || !strings.HasPrefix(err.Error(), "1 webhook events") {
				t.Errorf("Shutdown: %v, want one event that was not delivered", err)
			}
			r.telling(s, "4").Occupied("private-e")
			r.telling(s, "5").Vacated("private-e")
			r.expect(t, "but for what was left", "1")
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

// TestTellingAtTheEnd: a departure that is held back is told by whoever goes on.
func TestTellingAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s := mustNew(t, o)
		s.Telling("1", func() { t.Error("who goes on would not tell it") }).Vacated("c")
		s.Vacated("d")
		mustShutdown(t, s)
		equal(t, "told", n.events(t, "hook.example"), []string{"channel_vacated d"})
	})
}
