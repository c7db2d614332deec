package cluster

import (
	"errors"
	"time"

	"broadcastd/channels"
)

// setDown notes that Redis is out of reach, for what reason, and ends the session. A
// node that Redis has forgotten goes on under a new generation.
func (p *partition) setDown(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up {
		p.up, p.since = false, time.Now()
		p.metrics.outages.Inc()
		p.log.Warn("the cluster's Redis is out of reach; clients are served by what this node knows", "err", why)
	}
	p.why = why
	if lost, ok := errors.AsType[gone](why); ok && string(lost) == p.generation {
		p.generation, p.registered, p.version, p.number = newGeneration(), false, 0, 0
		p.metrics.rejoins.Inc()
	}
	if p.latest != nil {
		p.latest.cancel(why)
	}
}

// down has the node go by what it knows, and answers those who wait for the log.
func (p *partition) down(why error) {
	p.setDown(why)
	p.turn.Lock()
	defer p.turn.Unlock()
	p.settle(true)
}

// answerAlone answers operations without Redis.
func (p *partition) answerAlone(operations []operation, why error) {
	for _, o := range operations {
		switch {
		case o.add != nil:
			p.addAlone(o.add, why)
		case o.look != nil:
			p.lookAlone(o.look)
		default:
			p.turn.Lock()
			p.enterAlone(o.channel, p.postpone)
			p.turn.Unlock()
		}
	}
}

// addAlone tells that an entry was not, or may not have been, added to the log. A
// client event reaches those who are here.
func (p *partition) addAlone(a *addition, why error) {
	if a.event != nil {
		p.turn.Lock()
		generation, number := (&entry{from: a.from}).origin()
		if generation == "" || p.see(generation, number) { // or the log had it
			p.node.Deliver(a.event, false)
		}
		p.turn.Unlock()
	}
	if a.done != nil {
		a.done(why)
	}
}

func (p *partition) lookAlone(l *look) {
	p.turn.Lock()
	defer p.turn.Unlock()
	l.then(l.local())
}

// declareAlone lets clients into channels by what this node knows of them. What
// was to be declared waits for Redis.
func (p *partition) declareAlone(changes []change) {
	p.turn.Lock()
	defer p.turn.Unlock()
	for i := range changes {
		p.enterAlone(changes[i].channel, func(*holding) []*place { return p.undo(&changes[i]) })
	}
}

// enterAlone lets those in who wait, whom put gives with p.mu. It needs p.turn.
// Members who come are told of at once; that they left is told only once Redis knows
// whether they are anywhere else.
func (p *partition) enterAlone(h *holding, put func(*holding) []*place) {
	p.mu.Lock()
	waiting := put(h)
	var roster []byte
	var come []*userHere
	if len(waiting) > 0 && waiting[0].user != "" {
		if h.roster == nil {
			h.roster = channels.NewRoster()
		}
		for _, u := range h.users {
			if u.connections > 0 && !h.roster.Has(u.member.UserID) && h.roster.Add(u.member) {
				come = append(come, u)
			}
		}
		h.resync = true
		roster = h.roster.Encode()
	}
	p.mu.Unlock()
	for _, u := range come {
		p.node.Hub.Tell(h.name, channels.MemberAdded(h.name, u.member))
	}
	p.answer(waiting, roster, nil)
}
