package channels_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// nowhere is a Fanout of two flushers, and its subscribers, that do nothing:
// what is measured is the hub alone.
type nowhere struct{}

func (nowhere) Flushers() int { return 2 }

func (nowhere) Broadcast(int, uint64, protocol.Shared, protocol.SocketID, time.Time) {}

type idle struct{ id protocol.SocketID }

func (s *idle) SocketID() protocol.SocketID { return s.id }
func (s *idle) Flusher() int                { return int(s.id % 2) }
func (s *idle) Deflates() bool              { return false }

func (s *idle) Join(uint64, protocol.Frame) {}
func (s *idle) Leave(uint64)                {}
func (s *idle) Send(protocol.Frame)         {}

const feed = "jobs.discovery"

// followed is a hub with a channel of n subscribers.
func followed(tb testing.TB, n int) *channels.Hub {
	tb.Helper()
	h := channels.NewHub(nowhere{}, new(atomic.Uint64), channels.Options{})
	for i := range n {
		joined(tb, h.Subscribe(&idle{protocol.SocketID(i + 1)}, feed, nil))
	}
	return h
}

func joined(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func posted() *protocol.Event {
	return &protocol.Event{
		Channel: feed, Name: "job.posted",
		Data: protocol.QuoteData(bytes.Repeat([]byte(`{"id":42}`), 20)),
	}
}

func TestPublishAllocatesTheSameForAnyNumber(t *testing.T) {
	e, now := posted(), time.Now()
	allocs := func(n int) float64 {
		h := followed(t, n)
		return testing.AllocsPerRun(100, func() { h.Publish(e, now) })
	}
	few, many := allocs(2), allocs(10_000)
	if few != many {
		t.Errorf("a publish to 2 subscribers allocates %g times, to 10,000 %g times", few, many)
	}
	if few > 1 {
		t.Errorf("a publish allocates %g times, and only the frame needs memory", few)
	}
	if none := allocs(0); none > 0 {
		t.Errorf("a publish to nobody allocates %g times", none)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{0, 1, 1000, 100_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			h, e, now := followed(b, n), posted(), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				h.Publish(e, now)
			}
		})
	}
}

// BenchmarkPublishParallel publishes to channels of their own from all
// processors.
func BenchmarkPublishParallel(b *testing.B) {
	h, now := followed(b, 0), time.Now()
	var number atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := posted()
		e.Channel = fmt.Sprintf("private-user.%d", number.Add(1))
		joined(b, h.Subscribe(&idle{1}, e.Channel, nil))
		for pb.Next() {
			h.Publish(e, now)
		}
	})
}

func BenchmarkJoinLeave(b *testing.B) {
	for name, n := range map[string]int{"first": 0, "others=100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			h, s := followed(b, n), &idle{1 << 40}
			b.ReportAllocs()
			for b.Loop() {
				joined(b, h.Subscribe(s, feed, nil))
				h.Unsubscribe(s, feed, nil)
			}
		})
	}
}

// BenchmarkJoinLeavePresence includes the roster that each joiner is sent.
func BenchmarkJoinLeavePresence(b *testing.B) {
	const room = "presence-room.5"
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			h := followed(b, 0)
			for i := range n {
				joined(b, h.Subscribe(&idle{protocol.SocketID(i + 1)}, room, &protocol.Member{UserID: fmt.Sprint(i)}))
			}
			s, m := &idle{1 << 40}, &protocol.Member{UserID: "joiner"}
			b.ReportAllocs()
			for b.Loop() {
				joined(b, h.Subscribe(s, room, m))
				h.Unsubscribe(s, room, m)
			}
		})
	}
}
