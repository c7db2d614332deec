package channels

import (
	"encoding/json"
	"strings"
	"time"

	"broadcastd/protocol"
)

// Info is what the HTTP API tells of a channel.
type Info struct {
	Occupied      bool
	Subscriptions int
	Users         int             // members, of a presence channel
	Cached        json.RawMessage // the last event's data, of a cache channel; nil: none
	CachedFor     time.Duration   // how long that will be kept
}

// Info tells of one channel, occupied or not.
func (h *Hub) Info(name string) Info {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var info Info
	if ch := sh.channels[name]; ch != nil {
		info = ch.info()
	}
	if protocol.KindOf(name).IsCache() {
		if last, left := h.cache.get(name, time.Now()); last != nil {
			info.Cached, info.CachedFor = last.event.Data, left
		}
	}
	return info
}

// info needs the shard's lock.
func (ch *channel) info() Info {
	info := Info{Occupied: true, Subscriptions: ch.subscribers}
	if ch.roster != nil {
		info.Users = ch.roster.Len()
	}
	return info
}

// Occupied lists the channels that have subscribers and whose names begin
// with prefix. Users' own channels are no channels to the API.
func (h *Hub) Occupied(prefix string) map[string]Info {
	all := make(map[string]Info)
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		for name, ch := range sh.channels {
			if strings.HasPrefix(name, prefix) && protocol.KindOf(name) != protocol.User {
				all[name] = ch.info()
			}
		}
		sh.mu.Unlock()
	}
	return all
}

// Users lists the members of a presence channel.
func (h *Hub) Users(name string) []string {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ids := []string{}
	if ch := sh.channels[name]; ch != nil && ch.roster != nil {
		for m := range ch.roster.Members() {
			ids = append(ids, m.UserID)
		}
	}
	return ids
}

// LastEvent is what is kept of a cache channel, and for how long it will be.
func (h *Hub) LastEvent(name string) (e protocol.Event, left time.Duration, ok bool) {
	last, left := h.cache.get(name, time.Now())
	if last == nil {
		return e, 0, false
	}
	return last.event, left, true
}

// Restore makes e a cache channel's last event for as long as is left of its
// time, unless a later one is kept. It delivers nothing.
func (h *Hub) Restore(e *protocol.Event, left time.Duration) {
	now := time.Now()
	h.cache.put(e, e.Frame(), now, now.Add(min(left, h.opts.Load().CacheTTL)))
}
