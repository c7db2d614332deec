package channels

import (
	"errors"
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
	// Deflates reports whether the client agreed to compression.
	Deflates() bool
	// Join sends reply and puts the connection among those that get what is
	// broadcast to topic from now on.
	Join(topic uint64, reply protocol.Frame)
	// Leave ends what Join began.
	Leave(topic uint64)
	// Send sends to this connection alone.
	Send(protocol.Frame)
}

// Fanout hands a frame to every connection of one flusher that joined topic,
// except one. received is when the event came in, and zero for what the hub
// itself tells. Whoever publishes an event makes the flushers attend to it
// afterwards; what the hub tells they see by themselves.
type Fanout interface {
	Flushers() int
	Broadcast(flusher int, topic uint64, f protocol.Shared, except protocol.SocketID, received time.Time)
}

// Options are what an app's channels do besides delivering.
type Options struct {
	// CacheTTL and CacheBytes bound what is kept of cache channels.
	CacheTTL   time.Duration
	CacheBytes int
	// SubscriptionCount tells subscribers how many they are.
	SubscriptionCount bool
	// CountInterval is how often a channel of more than 100 is told; 0 means
	// 5 s.
	CountInterval time.Duration
	// MaxMembers bounds a presence channel; 0: no limit.
	MaxMembers int
	Observer   Observer // nil: nobody
}

const shardCount = 64

// Hub holds one app's channels. Its methods may be called from anywhere.
type Hub struct {
	fanout Fanout
	opts   atomic.Pointer[Options]
	cache  *cache
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
	deflating   int // those of subscribers that agreed to compression
	perFlusher  []int
	roster      *Roster // of presence channels, unless the members are told from outside
	countDue    bool    // a timer will tell the number of subscribers
}

// NewHub makes a hub without channels. topics numbers channels and is shared
// by all hubs that use the same fanout.
func NewHub(fanout Fanout, topics *atomic.Uint64, o Options) *Hub {
	h := &Hub{
		fanout: fanout, cache: newCache(o.CacheBytes),
		seed: maphash.MakeSeed(), topics: topics,
	}
	h.opts.Store(o.filled())
	for i := range h.shards {
		h.shards[i].channels = make(map[string]*channel)
	}
	return h
}

func (o Options) filled() *Options {
	if o.Observer == nil {
		o.Observer = Nobody
	}
	if o.CountInterval == 0 {
		o.CountInterval = countInterval
	}
	return &o
}

// Configure gives the hub other options, but for the observer, which stays. They
// count for what happens from now on: nobody has to leave.
func (h *Hub) Configure(o Options) {
	o.Observer = h.opts.Load().Observer
	h.opts.Store(o.filled())
	h.cache.bound(o.CacheBytes)
}

// Stats are the hub's present sizes.
func (h *Hub) Stats() *Stats { return &h.stats }

func (h *Hub) shard(name string) *shard {
	return &h.shards[maphash.String(h.seed, name)%shardCount]
}

// Subscribe adds s to a channel and answers it with subscription_succeeded. A
// presence channel needs member, others ignore it; the channel's other
// members hear of a user's first connection. The caller sees to it that a
// subscriber is in a channel once. A cache channel's last event follows the
// answer, or pusher:cache_miss.
func (h *Hub) Subscribe(s Subscriber, name string, member *protocol.Member) error {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()

	ch := sh.channels[name]
	if max := h.opts.Load().MaxMembers; ch != nil && ch.roster != nil && max > 0 && ch.roster.full(max, member) {
		return ErrFull
	}
	if ch == nil {
		ch = h.open(sh, name)
		if protocol.KindOf(name).IsPresence() {
			ch.roster = NewRoster()
		}
		h.opts.Load().Observer.Occupied(name)
	}
	var presence []byte
	if ch.roster != nil {
		if ch.roster.Add(member) {
			h.tell(ch, MemberAdded(name, member))
			h.opts.Load().Observer.MemberAdded(name, member.UserID)
		}
		presence = ch.roster.Encode()
	}
	h.enter(ch, s, presence)
	h.counted(ch)
	return nil
}

// Enter is Subscribe where others know who is in a channel: the hub delivers,
// and tells nobody. presence is the roster that subscription_succeeded carries;
// nil but for presence channels.
func (h *Hub) Enter(s Subscriber, name string, presence []byte) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch := sh.channels[name]
	if ch == nil {
		ch = h.open(sh, name)
	}
	h.enter(ch, s, presence)
}

// open makes a channel for its first subscriber. It needs sh's lock.
func (h *Hub) open(sh *shard, name string) *channel {
	ch := &channel{name: name, topic: h.topics.Add(1), perFlusher: make([]int, h.fanout.Flushers())}
	sh.channels[name] = ch
	h.stats.count(name).Channels.Add(1)
	return ch
}

// enter needs the lock of ch's shard.
func (h *Hub) enter(ch *channel, s Subscriber, presence []byte) {
	ch.subscribers++
	if s.Deflates() {
		ch.deflating++
	}
	ch.perFlusher[s.Flusher()]++
	h.stats.count(ch.name).Subscriptions.Add(1)
	s.Join(ch.topic, protocol.SubscriptionSucceeded(ch.name, presence))
	if protocol.KindOf(ch.name).IsCache() {
		h.replay(s, ch.name)
	}
}

// ErrFull means that a presence channel has as many members as it may.
var ErrFull = errors.New("the presence channel has as many members as it may")

// replay needs the shard's lock, so that nothing is published between the
// last event and those that follow.
func (h *Hub) replay(s Subscriber, name string) {
	if last, _ := h.cache.get(name, time.Now()); last != nil {
		s.Send(last.frame)
		return
	}
	s.Send(protocol.CacheMiss(name))
	h.opts.Load().Observer.CacheMissed(name)
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
		presence = ch.roster.Encode()
	}
	s.Send(protocol.SubscriptionSucceeded(name, presence))
}

// Reenter is Resubscribe for who came with Enter. presence gives the roster,
// under the channel's lock: a change that it lacks is told afterwards, if
// whoever changes the roster does it before the call of Tell.
func (h *Hub) Reenter(s Subscriber, name string, presence func() []byte) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.Send(protocol.SubscriptionSucceeded(name, presence()))
}

// Unsubscribe takes s out of a channel that it subscribed to as member.
func (h *Hub) Unsubscribe(s Subscriber, name string, member *protocol.Member) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch := sh.channels[name]
	if ch == nil {
		return
	}
	h.exit(sh, ch, s)
	if ch.roster != nil && ch.roster.Remove(member.UserID) {
		h.tell(ch, MemberRemoved(name, member.UserID))
		h.opts.Load().Observer.MemberRemoved(name, member.UserID)
	}
	if ch.subscribers == 0 {
		h.opts.Load().Observer.Vacated(name)
		return
	}
	h.counted(ch)
}

// Exit ends what Enter began.
func (h *Hub) Exit(s Subscriber, name string) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if ch := sh.channels[name]; ch != nil {
		h.exit(sh, ch, s)
	}
}

// exit needs sh's lock, which is ch's.
func (h *Hub) exit(sh *shard, ch *channel, s Subscriber) {
	s.Leave(ch.topic)
	ch.subscribers--
	if s.Deflates() {
		ch.deflating--
	}
	ch.perFlusher[s.Flusher()]--
	h.stats.count(ch.name).Subscriptions.Add(-1)
	if ch.subscribers == 0 {
		delete(sh.channels, ch.name)
		h.stats.count(ch.name).Channels.Add(-1)
	}
}

// Tell sends a frame of the protocol's own, such as member_added, to a channel's
// subscribers.
func (h *Hub) Tell(name string, f protocol.Frame) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if ch := sh.channels[name]; ch != nil {
		h.tell(ch, f)
	}
}

// tell needs the lock of ch's shard.
func (h *Hub) tell(ch *channel, f protocol.Frame) {
	h.broadcast(ch, protocol.Shared{Frame: f}, 0, time.Time{})
}

// Wants reports whether an event of the channel would reach anybody here, or be
// kept.
func (h *Hub) Wants(channel string) bool {
	if protocol.KindOf(channel).IsCache() {
		return true
	}
	sh := h.shard(channel)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.channels[channel] != nil
}

// Publish hands an event to its channel's subscribers and tells how many
// there are. The event has passed its Check.
func (h *Hub) Publish(e *protocol.Event, received time.Time) int {
	sh := h.shard(e.Channel)
	sh.mu.Lock()
	ch := sh.channels[e.Channel]
	occupied, deflating := ch != nil, ch != nil && ch.deflating > 0
	sh.mu.Unlock()
	// Whispers are not cached, as in Pusher.
	cacheable := protocol.KindOf(e.Channel).IsCache() && !protocol.IsClientEvent(e.Name)
	if !occupied && !cacheable {
		return 0
	}
	frame := protocol.Shared{Frame: e.Frame()}
	if deflating {
		frame.Deflated = frame.Deflate()
	}

	sh.mu.Lock()
	defer sh.mu.Unlock()
	if cacheable {
		now := time.Now()
		h.cache.put(e, frame.Frame, now, now.Add(h.opts.Load().CacheTTL))
	}
	if ch = sh.channels[e.Channel]; ch == nil {
		return 0
	}
	h.broadcast(ch, frame, e.Except, received)
	return ch.subscribers
}

// broadcast needs the lock of ch's shard.
func (h *Hub) broadcast(ch *channel, f protocol.Shared, except protocol.SocketID, received time.Time) {
	for flusher, n := range ch.perFlusher {
		if n > 0 {
			h.fanout.Broadcast(flusher, ch.topic, f, except, received)
		}
	}
}
