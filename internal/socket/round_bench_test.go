package socket

import (
	"fmt"
	"testing"

	"broadcastd/protocol"
)

// sink is a link that costs nothing.
type sink struct{ memory }

func (*sink) write(b []byte) (int, error) { return len(b), nil }

// BenchmarkRound is what a flusher does for a delivery besides the system call:
// connections of one topic, and events that are there together.
func BenchmarkRound(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		f := newTestFlusher()
		limits := generous()
		for i := range n {
			c := &Conn{id: protocol.NewSocketID(uint64(i + 1)), flusher: f, limits: &limits, link: &sink{}, handler: nobody{}}
			f.push(work{op: opAttach, conn: c, frame: text("hello")})
			c.Join(1, text("joined"))
		}
		for f.round() {
		}
		frame := text(string(make([]byte, 300)))
		for _, events := range []int{1, 8} {
			b.Run(fmt.Sprintf("connections=%d/events=%d", n, events), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for range events {
						f.push(work{op: opBroadcast, topic: 1, frame: frame})
					}
					for f.round() {
					}
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N*n*events), "ns/delivery")
			})
		}
	}
}
