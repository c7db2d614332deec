package server_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"broadcastd/protocol"
)

// inGoroutine lets helpers fail a test from a goroutine that isn't the test's
// own: the test fails, and the goroutine ends.
type inGoroutine struct{ testing.TB }

func (g inGoroutine) Fatal(args ...any) {
	g.Helper()
	g.Error(args...)
	runtime.Goexit()
}

func (g inGoroutine) Fatalf(format string, args ...any) {
	g.Helper()
	g.Errorf(format, args...)
	runtime.Goexit()
}

// numbered is a channel whose events are numbered from 1 as they are published,
// one after the other.
type numbered struct {
	channel string
	// begun is the last event whose publishing began, done the last that the
	// publisher was told is under way.
	begun, done atomic.Int64

	mu     sync.Mutex
	except []protocol.SocketID // who gets no copy of event 1, 2, ...; guarded by mu
}

// begin notes the next event and returns its number.
func (n *numbered) begin(except protocol.SocketID) int64 {
	n.mu.Lock()
	n.except = append(n.except, except)
	n.mu.Unlock()
	return n.begun.Add(1)
}

// notFor reports whether all events from first to last were kept from a
// client, and otherwise the first that was not.
func (n *numbered) notFor(me protocol.SocketID, first, last int64) (missed int64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := first; i <= last; i++ {
		if n.except[i-1] != me {
			return i, false
		}
	}
	return 0, true
}

// stay is the time that a client is in a channel.
type stay struct {
	in *numbered
	me protocol.SocketID
	// before is the last event that was under way when the client asked to
	// join, and so must not come; joined the last that had begun when it was
	// told that it is in, so that all later ones must come.
	before, joined int64
	got            []int64
	// replay says that a cache channel's last event, or that there is none, is
	// still to come; replayed is that event, after which none may be missing.
	replay   bool
	replayed int64
	members  []string // of a presence channel
}

// check demands that got is what the channel's events make of the stay, given
// that those up to last had to come before it ended.
func (s *stay) check(last int64) error {
	came := s.joined // all after it has to be there
	if s.replayed > 0 {
		came = s.replayed
	}
	if s.replay {
		return fmt.Errorf("%s: neither the last event came nor that there is none", s.in.channel)
	}
	for i, n := range s.got {
		switch missed, ok := s.in.notFor(s.me, came+1, n-1); {
		case n <= s.before:
			return fmt.Errorf("%s: event %d came, published before the client asked to join", s.in.channel, n)
		case i > 0 && n <= s.got[i-1]:
			return fmt.Errorf("%s: event %d came after %d", s.in.channel, n, s.got[i-1])
		case !ok:
			return fmt.Errorf("%s: event %d is missing before %d", s.in.channel, missed, n)
		}
		if _, kept := s.in.notFor(s.me, n, n); kept {
			return fmt.Errorf("%s: event %d came although it was to skip the client", s.in.channel, n)
		}
		came = n
	}
	if missed, ok := s.in.notFor(s.me, came+1, last); !ok {
		return fmt.Errorf("%s: event %d is missing at the end, after %d", s.in.channel, missed, came)
	}
	return nil
}

// memberEvent follows a member_added or member_removed.
func (s *stay) memberEvent(event, user string) error {
	at := slices.Index(s.members, user)
	switch {
	case event == "pusher_internal:member_added" && at < 0:
		s.members = append(s.members, user)
	case event == "pusher_internal:member_removed" && at >= 0:
		s.members = slices.Delete(s.members, at, at+1)
	default:
		return fmt.Errorf("%s: %s of %s while the members are %v", s.in.channel, event, user, s.members)
	}
	return nil
}
