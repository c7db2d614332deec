package channels

import (
	"encoding/json"
	"strconv"
	"time"

	"broadcastd/protocol"
)

// Subscription counts are told on every change of a small channel; large ones
// would do little else, so they are told at most every so often (Pusher's
// rule).
const (
	largeChannel  = 100
	countInterval = 5 * time.Second
)

// counted tells that a channel's number of subscribers has changed. It needs
// the lock of ch's shard.
func (h *Hub) counted(ch *channel) {
	if !h.opts.Load().SubscriptionCount || ch.roster != nil || protocol.KindOf(ch.name) == protocol.User {
		return
	}
	if ch.subscribers <= largeChannel {
		h.tellCount(ch)
		return
	}
	if ch.countDue {
		return
	}
	ch.countDue = true
	time.AfterFunc(h.opts.Load().CountInterval, func() {
		sh := h.shard(ch.name)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		ch.countDue = false
		if sh.channels[ch.name] == ch {
			h.tellCount(ch)
		}
	})
}

// tellCount needs the lock of ch's shard.
func (h *Hub) tellCount(ch *channel) {
	h.tell(ch, SubscriptionCount(ch.name, ch.subscribers))
	h.opts.Load().Observer.SubscriptionCount(ch.name, ch.subscribers)
}

// SubscriptionCount is pusher_internal:subscription_count.
func SubscriptionCount(channel string, n int) protocol.Frame {
	return internalEvent(channel, "pusher_internal:subscription_count",
		json.RawMessage(`{"subscription_count":`+strconv.Itoa(n)+`}`))
}
