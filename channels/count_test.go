package channels

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"broadcastd/protocol"
)

// diary is an Observer that writes down what it hears. It is used by one
// goroutine.
type diary []string

func (d *diary) Occupied(c string)                 { d.note("occupied", c) }
func (d *diary) Vacated(c string)                  { d.note("vacated", c) }
func (d *diary) MemberAdded(c, u string)           { d.note("added", c, u) }
func (d *diary) MemberRemoved(c, u string)         { d.note("removed", c, u) }
func (d *diary) CacheMissed(c string)              { d.note("miss", c) }
func (d *diary) SubscriptionCount(c string, n int) { d.note("count", c, n) }
func (d *diary) ClientEvent(e *protocol.Event)     { d.note("whisper", e.Channel) }
func (d *diary) note(words ...any)                 { *d = append(*d, strings.TrimSpace(fmt.Sprintln(words...))) }

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*d, want) {
		t.Errorf("the observer heard %q, want %q", *d, want)
	}
	*d = nil
}

func TestObserver(t *testing.T) {
	var d diary
	_, sub := newTestHub()
	a, b := sub(0), sub(1)
	hub := NewHub(a.r, new(atomic.Uint64), Options{CacheTTL: time.Minute, CacheBytes: 1 << 20, Observer: &d, MaxMembers: 1})
	ann, bob := &protocol.Member{UserID: "1"}, &protocol.Member{UserID: "2"}

	subscribe(t, hub, a, "presence-x", ann)
	d.expect(t, "occupied presence-x", "added presence-x 1")
	subscribe(t, hub, b, "presence-x", ann)
	d.expect(t)
	if err := hub.Subscribe(sub(0), "presence-x", bob); !errors.Is(err, ErrFull) {
		t.Errorf("a member too many: %v", err)
	}
	hub.Unsubscribe(a, "presence-x", ann)
	d.expect(t)
	hub.Unsubscribe(b, "presence-x", ann)
	d.expect(t, "removed presence-x 1", "vacated presence-x")
	subscribe(t, hub, a, "cache-x", nil)
	d.expect(t, "occupied cache-x", "miss cache-x")
}

func TestSubscriptionCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		_, sub := newTestHub()
		first := sub(0)
		hub := NewHub(first.r, new(atomic.Uint64), Options{SubscriptionCount: true, Observer: &d})
		subscribe(t, hub, first, "jobs", nil)
		const one = `{"event":"pusher_internal:subscription_count","channel":"jobs","data":"{\"subscription_count\":1}"}`
		if seen := first.take(); len(seen) != 2 || seen[1] != one {
			t.Errorf("the first subscriber saw %v", seen)
		}
		for range 149 {
			subscribe(t, hub, sub(1), "jobs", nil)
		}
		if n := len(first.take()); n != 99 {
			t.Errorf("%d counts up to 100 subscribers, want 99", n)
		}
		time.Sleep(countInterval + time.Millisecond)
		synctest.Wait()
		if seen := first.take(); len(seen) != 1 || !strings.Contains(seen[0], `\"subscription_count\":150`) {
			t.Errorf("a large channel saw %v", seen)
		}
		if last := d[len(d)-1]; last != "count jobs 150" {
			t.Errorf("the observer heard %q last", last)
		}
		subscribe(t, hub, sub(1), "presence-x", &protocol.Member{UserID: "1"})
		if last := d[len(d)-1]; last != "added presence-x 1" {
			t.Errorf("presence channels have their roster, but the observer heard %q", last)
		}
	})
}
