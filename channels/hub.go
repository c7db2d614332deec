package channels

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"broadcastd/protocol"
)

// Subscriber is a connection as the hub knows it. Its methods put work into
// its flusher's inbox and return at once.
type Subscriber interface {
	SocketID() protocol.SocketID
	// Flusher is the number of the flusher that owns the connection.
	Flusher() int
	// Join sends reply and puts the connection among those that get what is
	// broadcast to topic from now on.
	Join(topic uint64, reply protocol.Frame)
	// Leave ends what Join began.
	Leave(topic uint64)
	// Send sends to this connection alone.
	Send(protocol.Frame)
}

// Fanout hands a frame to every connection of one flusher that joined topic,
// except one. received is when the event came in.
type Fanout interface {
	Flushers() int
	Broadcast(flusher int, topic uint64, f protocol.Frame, except protocol.SocketID, received time.Time)
}

const shardCount = 64

// Hub holds one app's channels. Its methods may be called from anywhere.
type Hub struct {
	fanout Fanout
	seed   maphash.Seed
	topics *atomic.Uint64
	stats  Stats
	shards [shardCount]shard
}

type shard struct {
	mu       sync.Mutex
	channels map[string]*channel
}

// channel is guarded by its shard's lock.
type channel struct {
	name string
	// topic is the channel's number in the flushers, which compare numbers
	// rather than names. It is never used again.
	topic       uint64
	subscribers int
	perFlusher  []int
	roster      *roster // of presence channels
}

// NewHub makes a hub without channels. topics numbers channels and is shared
// by all hubs that use the same fanout.
func NewHub(fanout Fanout, topics *atomic.Uint64) *Hub {
	h := &Hub{fanout: fanout, seed: maphash.MakeSeed(), topics: topics}
	for i := range h.shards {
		h.shards[i].channels = make(map[string]*channel)
	}
	return h
}

// Stats are the hub's present sizes.
func (h *Hub) Stats() *Stats { return &h.stats }

func (h *Hub) shard(name string) *shard {
	return &h.shards[maphash.String(h.seed, name)%shardCount]
}

// Subscribe adds s to a channel and answers it with subscription_succeeded. A
// presence channel needs member, others ignore it; the channel's other
// members hear of a user's first connection. The caller sees to it that a
// subscriber is in a channel once.
func (h *Hub) Subscribe(s Subscriber, name string, member *Member) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()

	ch := sh.channels[name]
	if ch == nil {
		ch = &channel{name: name, topic: h.topics.Add(1), perFlusher: make([]int, h.fanout.Flushers())}
		if protocol.KindOf(name).IsPresence() {
			ch.roster = newRoster()
		}
		sh.channels[name] = ch
		h.stats.count(name).Channels.Add(1)
	}
	var presence []byte
	if ch.roster != nil {
		if ch.roster.add(member) {
			h.broadcast(ch, memberAdded(name, member), 0, time.Time{})
		}
		presence = ch.roster.encode()
	}
	ch.subscribers++
	ch.perFlusher[s.Flusher()]++
	h.stats.count(name).Subscriptions.Add(1)
	s.Join(ch.topic, protocol.SubscriptionSucceeded(name, presence))
}

// Resubscribe answers again a subscriber that is in the channel already.
func (h *Hub) Resubscribe(s Subscriber, name string) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch := sh.channels[name]
	if ch == nil {
		return
	}
	var presence []byte
	if ch.roster != nil {
		presence = ch.roster.encode()
	}
	s.Send(protocol.SubscriptionSucceeded(name, presence))
}

// Unsubscribe takes s out of a channel that it subscribed to as member.
func (h *Hub) Unsubscribe(s Subscriber, name string, member *Member) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch := sh.channels[name]
	if ch == nil {
		return
	}
	s.Leave(ch.topic)
	ch.subscribers--
	ch.perFlusher[s.Flusher()]--
	h.stats.count(name).Subscriptions.Add(-1)
	if ch.subscribers == 0 {
		delete(sh.channels, name)
		h.stats.count(name).Channels.Add(-1)
		return
	}
	if ch.roster != nil && ch.roster.remove(member) {
		h.broadcast(ch, memberRemoved(name, member), 0, time.Time{})
	}
}

// Publish hands an event to its channel's subscribers and tells how many
// there are. The event has passed its Check.
func (h *Hub) Publish(e *protocol.Event, received time.Time) int {
	sh := h.shard(e.Channel)
	sh.mu.Lock()
	_, occupied := sh.channels[e.Channel]
	sh.mu.Unlock()
	if !occupied {
		return 0
	}
	frame := e.Frame()

	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch := sh.channels[e.Channel]
	if ch == nil {
		return 0
	}
	h.broadcast(ch, frame, e.Except, received)
	return ch.subscribers
}

// broadcast needs the lock of ch's shard.
func (h *Hub) broadcast(ch *channel, f protocol.Frame, except protocol.SocketID, received time.Time) {
	for flusher, n := range ch.perFlusher {
		if n > 0 {
			h.fanout.Broadcast(flusher, ch.topic, f, except, received)
		}
	}
}
