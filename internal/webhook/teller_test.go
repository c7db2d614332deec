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
		s.Occupied("private-later")
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

func TestADepartureToldTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s, r := mustNew(t, o), &receipts{}
		r.telling(s, "1").Vacated("c")
		r.telling(s, "1-again").Vacated("c")
		r.expect(t, "while it is held back", "1")
		r.telling(s, "2").Occupied("c")
		r.expect(t, "after the return", "1-again", "2")
		time.Sleep(time.Minute)
		for _, told := range n.events(t, "hook.example") {
			if told != "channel_occupied private-later" { // by receipts
				t.Errorf("told %s", told)
			}
		}
		mustShutdown(t, s)
	})
}

// trial is a sender with two hooks: one hears of all that begins with p, the other
// of presence channels, and takes nothing before works is closed.
type trial struct {
	*testing.T
	*Sender
	*receipts
	works chan struct{}
}

func newTrial(t *testing.T, maxQueue int) trial {
	t.Helper()
	works := make(chan struct{})
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
	o.MaxQueue = maxQueue
	return trial{t, mustNew(t, o), &receipts{}, works}
}

// tell is of what must be done with.
func (c trial) tell(id string) Teller { return c.telling(c.Sender, id) }

func (c trial) wantDone(when string, want ...string) {
	c.Helper()
	c.expect(c.T, when, want...)
}

func TestTellingIsDone(t *testing.T) {
	for name, test := range map[string]struct {
		maxQueue int
		play     func(trial)
	}{
		"nobody hears of it": {0, func(c trial) {
			c.tell("1").Occupied("x")
			c.tell("2").ClientEvent(&protocol.Event{Channel: "x", Data: []byte("1")})
			c.tell("3").Vacated("#server-to-user-7")
			c.wantDone("at once", "1", "2", "3")
		}},
		"one takes it": {0, func(c trial) {
			c.tell("1").CacheMissed("private-cache-c")
			c.wantDone("before it is sent")
			time.Sleep(time.Second)
			c.wantDone("then", "1")
		}},
		"all take it": {0, func(c trial) {
			c.tell("1").Occupied("presence-c")
			time.Sleep(time.Minute)
			c.wantDone("while one doesn't")
			close(c.works)
			time.Sleep(time.Minute)
			c.wantDone("then", "1")
		}},
		"it is given up": {0, func(c trial) {
			c.tell("1").Occupied("presence-c")
			time.Sleep(time.Hour)
			c.wantDone("in the end", "1")
		}},
		"there is no room": {100, func(c trial) {
			c.tell("1").Occupied("private-c")
			c.wantDone("at once", "1")
		}},
		"a departure": {0, func(c trial) {
			c.tell("1").Vacated("private-c")
			time.Sleep(2 * time.Second)
			c.wantDone("while it is held back")
			time.Sleep(2 * time.Second)
			c.wantDone("then", "1")
		}},
		"a return": {0, func(c trial) {
			c.tell("1").MemberRemoved("presence-c", "7")
			c.tell("2").MemberAdded("presence-c", "8")
			c.wantDone("before")
			c.tell("3").MemberAdded("presence-c", "7")
			c.wantDone("when both are known", "1", "3")
		}},
		"later counts": {0, func(c trial) {
			for i := range 3 {
				c.tell(fmt.Sprint(i)).SubscriptionCount("private-c", i)
			}
			time.Sleep(time.Second)
			c.wantDone("with the last", "0", "1", "2")
		}},
		"the end": {0, func(c trial) {
			c.tell("1").Occupied("private-c")
			c.tell("2").Occupied("presence-c")
			c.tell("3").Vacated("private-d")
			ctx, cancel := context.WithTimeout(c.Context(), time.Second)
			defer cancel()
			if err := c.Shutdown(ctx); err == nil || !strings.HasPrefix(err.Error(), "1 webhook events") {
				c.Errorf("Shutdown: %v, want one event that was not delivered", err)
			}
			c.tell("4").Occupied("private-e")
			c.tell("5").Vacated("private-e")
			c.wantDone("but for what was left", "1")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTrial(t, test.maxQueue)
				test.play(c)
				c.cancel() // what is left doesn't matter
				_ = c.Shutdown(t.Context())
			})
		})
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
