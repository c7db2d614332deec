package cluster

import (
	"encoding/json"
	"slices"
	"time"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// holding is what this node has of a channel, and what it has declared of that.
type holding struct {
	name string
	// subscribers counts those who are in the channel, and those who wait to be.
	subscribers int
	declared    int // the number that Redis was last told of, or unknown
	users       map[string]*userHere
	changed     []string // users whose declaration may have to change
	queued      bool     // among the partition's operations
	late        bool     // to be declared once Redis is back
	waiting     []*place

	// roster is who is in a presence channel anywhere; nil: not known. It
	// follows the log.
	roster *channels.Roster
	resync bool // the roster may be wrong, and is to be asked for

	asked int // counts declarations that are under way

	// uncounted: somebody came whom no count may have been told.
	uncounted bool
}

// unknown is a number that Redis may have been told of, or not.
const unknown = -1

// userHere is a member of a presence channel with connections to this node.
type userHere struct {
	member      *protocol.Member
	connections int
	declared    declared
}

// declared is what Redis knows of something.
type declared uint8

const (
	no declared = iota
	yes
	unsure
)

// place is a channels.Place.
type place struct {
	partition *partition
	in        *holding
	user      string                         // of presence channels
	then      func(roster []byte, err error) // nil: answered, or nobody waits
	left      bool
}

func (p *partition) holdingOf(name string) *holding {
	h := p.channels[name]
	if h == nil {
		h = &holding{name: name}
		p.channels[name] = h
	}
	return h
}

// join takes a place in a channel. then may be nil.
func (p *partition) join(name string, m *protocol.Member, then func([]byte, error)) *place {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.holdingOf(name)
	h.subscribers++
	pl := &place{partition: p, in: h, then: then}
	if m != nil {
		pl.user = m.UserID
		if h.users == nil {
			h.users = make(map[string]*userHere)
		}
		u := h.users[m.UserID]
		if u == nil {
			u = &userHere{member: m}
			h.users[m.UserID] = u
		}
		u.connections++
		h.changed = append(h.changed, m.UserID)
	}
	if then != nil {
		h.waiting = append(h.waiting, pl)
	}
	p.touch(h)
	return pl
}

// Leave gives the place back.
func (pl *place) Leave() {
	p := pl.partition
	p.mu.Lock()
	defer p.mu.Unlock()
	if pl.left {
		return
	}
	pl.then = nil
	p.giveBack(pl)
	p.touch(pl.in)
}

// giveBack needs p.mu.
func (p *partition) giveBack(pl *place) {
	pl.left = true
	h := pl.in
	h.subscribers--
	if pl.user != "" {
		h.users[pl.user].connections--
		h.changed = append(h.changed, pl.user)
	}
}

// touch sees to it that a channel is declared. It needs p.mu.
func (p *partition) touch(h *holding) {
	if !h.queued {
		h.queued = true
		p.queue(operation{channel: h})
	}
}

// answer lets those who wait for a place have it, or hear err. It needs p.turn.
func (p *partition) answer(waiting []*place, roster []byte, err error) {
	for _, pl := range waiting {
		p.mu.Lock()
		then := pl.then
		pl.then = nil
		if then != nil && err != nil {
			p.giveBack(pl)
			p.touch(pl.in)
		}
		p.mu.Unlock()
		if then != nil {
			then(roster, err)
		}
	}
}

// change is a channel's declaration under way.
type change struct {
	channel     *holding
	subscribers int
	come        []*protocol.Member
	leave       []string
	wantRoster  bool
	wantCount   bool
	waiting     []*place
}

// declaration takes what is to be declared of a channel. It needs p.mu.
func (p *partition) declaration(h *holding) change {
	h.queued, h.late = false, false
	h.asked++
	c := change{channel: h, subscribers: h.subscribers, waiting: h.waiting, wantCount: h.uncounted || len(h.waiting) > 0}
	h.waiting, h.uncounted = nil, false
	for _, id := range h.changed {
		u := h.users[id]
		if u == nil {
			continue
		}
		switch here := u.connections > 0; {
		case here && u.declared != yes:
			c.come = append(c.come, u.member)
			u.declared = yes // until the answer tells otherwise; also for who stands in changed twice
		case !here && u.declared != no:
			c.leave = append(c.leave, id)
			u.declared = no
		case !here:
			delete(h.users, id) // came and left in between
		}
	}
	h.changed = nil
	isPresence := protocol.KindOf(h.name).IsPresence()
	c.wantRoster = isPresence && h.subscribers > 0 && (h.roster == nil || h.resync)
	if c.wantRoster {
		h.resync = false
	}
	return c
}

// done notes that a declaration has reached Redis. It needs p.mu.
func (p *partition) done(c *change) {
	h := c.channel
	h.asked--
	h.declared = c.subscribers
	for _, id := range c.leave {
		if u := h.users[id]; u != nil && u.connections == 0 && u.declared == no {
			delete(h.users, id)
		}
	}
	p.forget(h)
}

// forget drops a channel that nobody here is in, and of which no declaration is
// under way: another holding must not take its place before. It needs p.mu.
func (p *partition) forget(h *holding) {
	if h.subscribers == 0 && h.declared == 0 && h.asked == 0 && !h.queued && !h.late && len(h.users) == 0 && len(h.waiting) == 0 {
		delete(p.channels, h.name)
	}
}

// undo notes that nobody knows whether a declaration has reached Redis. Who waited
// is given back to the caller. It needs p.mu.
func (p *partition) undo(c *change) []*place {
	h := c.channel
	h.asked--
	for _, m := range c.come {
		p.unsure(h, m.UserID)
	}
	for _, id := range c.leave {
		p.unsure(h, id)
	}
	h.declared = unknown
	h.uncounted = h.uncounted || c.wantCount
	h.resync = h.resync || c.wantRoster
	p.later(h)
	return c.waiting
}

// postpone has a channel declared once Redis is back, and gives back to the caller
// who waits. What came and went while Redis was away leaves nothing. It needs p.mu.
func (p *partition) postpone(h *holding) (waiting []*place) {
	waiting, h.waiting = h.waiting, nil
	h.queued, h.uncounted = false, h.uncounted || len(waiting) > 0
	h.changed = slices.DeleteFunc(h.changed, func(id string) bool {
		u := h.users[id]
		if u != nil && u.connections == 0 && u.declared == no {
			delete(h.users, id)
		}
		return h.users[id] == nil
	})
	p.later(h)
	p.forget(h)
	return waiting
}

// unsure has a user declared anew. It needs p.mu.
func (p *partition) unsure(h *holding, id string) {
	if u := h.users[id]; u != nil {
		u.declared = unsure
		h.changed = append(h.changed, id)
	}
}

// later has a channel declared once Redis is back, which it may be already. It
// needs p.mu.
func (p *partition) later(h *holding) {
	if p.up {
		p.touch(h)
		return
	}
	h.late = h.subscribers > 0 || h.declared != 0 || len(h.users) > 0
}

// declareAnew has everything declared that is here, and the rosters asked for when
// other nodes have done the same. It needs p.mu.
func (p *partition) declareAnew() {
	for _, h := range p.channels {
		for id := range h.users {
			p.unsure(h, id)
		}
		p.touch(h)
	}
	time.AfterFunc(settleTime, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.resyncAll()
	})
}

// resyncAll has the rosters of all presence channels asked for. It needs p.mu.
func (p *partition) resyncAll() {
	for _, h := range p.channels {
		if h.roster != nil {
			h.resync = true
			p.touch(h)
		}
	}
}

func infoOf(m *protocol.Member) []byte {
	if len(m.Info) == 0 {
		return []byte("null")
	}
	return m.Info
}

func memberOf(userID, info string) *protocol.Member {
	return &protocol.Member{UserID: userID, Info: json.RawMessage(info)}
}
