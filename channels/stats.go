package channels

import (
	"sync/atomic"

	"broadcastd/protocol"
)

// Stats counts a hub's channels and subscriptions by kind of channel.
type Stats struct {
	kinds [16]Count // by protocol.Kind, of which there are fewer
}

// Count is what there is of one kind of channel.
type Count struct {
	Channels, Subscriptions atomic.Int64
}

// Of returns the counts of a kind.
func (s *Stats) Of(k protocol.Kind) *Count { return &s.kinds[k] }

func (s *Stats) count(name string) *Count { return s.Of(protocol.KindOf(name)) }
