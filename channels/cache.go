package channels

import (
	"container/list"
	"sync"
	"time"

	"broadcastd/protocol"
)

// cache keeps the last event of each cache channel, whether or not anybody is
// subscribed, for a time and within a bound on memory. What was published
// longest ago goes first.
type cache struct {
	mu     sync.Mutex // guards the following
	max    int        // bytes, counted as name and frame
	byName map[string]*list.Element
	order  list.List // of *cached, the latest in front
	size   int
}

type cached struct {
	channel string
	frame   protocol.Frame
	event   protocol.Event
	until   time.Time
}

func (c *cached) size() int { return 2*len(c.channel) + 2*len(c.frame) + cachedOverhead }

// cachedOverhead is about what an entry costs besides its texts.
const cachedOverhead = 256

func newCache(max int) *cache {
	return &cache{max: max, byName: make(map[string]*list.Element)}
}

// put keeps an event until a time, unless the channel's is kept for longer: then
// that one is the later.
func (c *cache) put(e *protocol.Event, f protocol.Frame, now, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.byName[e.Channel]; el != nil {
		if el.Value.(*cached).until.After(until) {
			return
		}
		c.drop(el)
	}
	entry := &cached{channel: e.Channel, frame: f, event: *e, until: until}
	if entry.size() > c.max {
		return // it would drive out all others, and then not stay
	}
	c.byName[e.Channel] = c.order.PushFront(entry)
	c.size += entry.size()
	c.trim(now)
}

// trim drops what there is no room or no time left for. It needs c.mu.
func (c *cache) trim(now time.Time) {
	for el := c.order.Back(); el != nil && (c.size > c.max || now.After(el.Value.(*cached).until)); el = c.order.Back() {
		c.drop(el)
	}
}

// bound changes how much is kept.
func (c *cache) bound(max int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.max = max
	c.trim(time.Now())
}

// get returns the channel's last event and how long it will be kept, or nil.
func (c *cache) get(channel string, now time.Time) (*cached, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.byName[channel]
	if el == nil {
		return nil, 0
	}
	entry := el.Value.(*cached)
	left := entry.until.Sub(now)
	if left <= 0 {
		c.drop(el)
		return nil, 0
	}
	return entry, left
}

// drop needs c.mu.
func (c *cache) drop(el *list.Element) {
	entry := c.order.Remove(el).(*cached)
	delete(c.byName, entry.channel)
	c.size -= entry.size()
}
