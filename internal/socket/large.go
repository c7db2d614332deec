package socket

import (
	"slices"
	"time"

	"broadcastd/protocol"
)

const (
	// sliceSize is how many of a topic's connections get what is pending before
	// the inbox is looked at again.
	sliceSize = 256
	// largeChannel is how many connections, of all flushers together, make a
	// topic large.
	largeChannel = 512
)

// large is what a flusher knows of topics with many connections. What is
// broadcast to them is pending until it is given out in a pass over the
// connections: one slice in each round, between which other work is done. The
// next pass begins no sooner than gather after the last one, so that several
// broadcasts leave together.
type large struct {
	least   int // entries of a large topic
	gather  time.Duration
	alarm   *time.Timer // when the first of held is due
	held    []*topic    // those whose pass is still to begin, the first due in front
	slicing []*topic    // those in a pass, in the order of their turns
	latest  uint64      // number of the latest broadcast that became pending
	lacking [][]broadcast
}

func newLarge(o Options) large {
	l := large{least: max(largeChannel/o.Count, 2*few), gather: o.Gather, alarm: time.NewTimer(time.Hour)}
	l.alarm.Stop()
	return l
}

// broadcast gives a frame to a topic's connections: at once if they are few,
// otherwise in passes.
func (f *Flusher) broadcast(w *work) {
	b := broadcast{frame: protocol.Shared{Frame: w.frame, Deflated: w.deflated}, except: w.except, received: w.received}
	t := f.topics[w.topic]
	if t == nil {
		f.gave(b)
		return
	}
	if len(t.pending) == 0 && len(t.entries) < f.large.least {
		// From the end: a connection that turns out to be too slow leaves the
		// topic, and the last one takes its place.
		for _, e := range slices.Backward(t.entries) {
			f.giveLacking(e.conn)
			f.give(e.conn, &b)
			f.touch(e.conn)
		}
		f.gave(b)
		return
	}
	f.large.latest++
	b.number = f.large.latest
	t.pending = append(t.pending, b)
	if len(t.pending) == 1 {
		f.large.hold(t)
	}
}

// hold lets a topic's next pass begin as soon as it may.
func (l *large) hold(t *topic) {
	if t.due = 0; t.began > 0 {
		t.due = t.began + int64(l.gather)
	}
	l.held = append(l.held, t)
	for i := len(l.held) - 1; i > 0 && l.held[i-1].due > t.due; i-- {
		l.held[i-1], l.held[i] = l.held[i], l.held[i-1]
	}
}

// resume begins the passes that are due; all, if so much is pending that
// sources wait for it.
func (f *Flusher) resume() {
	l := &f.large
	if len(l.held) == 0 {
		return
	}
	now, pressed := clock(), f.pending.Load() > maxPending/2
	for len(l.held) > 0 && (pressed || l.held[0].due <= now) {
		t := l.held[0]
		l.held = slices.Delete(l.held, 0, 1)
		t.beginPass(now)
		l.slicing = append(l.slicing, t)
	}
}

// rest has the flusher woken when the next pass may begin.
func (l *large) rest() {
	if len(l.held) > 0 {
		l.alarm.Reset(time.Duration(l.held[0].due - clock()))
	}
}

// slice gives what is pending to some of a large topic's connections, and
// writes it while they are in the processor's cache. The next large topic has
// the next turn.
func (f *Flusher) slice() {
	l := &f.large
	if len(l.slicing) == 0 {
		return
	}
	t := l.slicing[0]
	for n := 0; n < sliceSize && t.at > 0; n++ {
		t.at--
		c := t.entries[t.at].conn
		f.giveLacking(c)
		if !c.blocked {
			f.flush(c)
		}
	}
	l.slicing = slices.Delete(l.slicing, 0, 1)
	if t.at > 0 {
		l.slicing = append(l.slicing, t)
		return
	}
	for _, b := range t.endPass() {
		f.gave(b)
	}
	if len(t.pending) > 0 {
		l.hold(t)
	}
}

// giveLacking gives a connection all that it hasn't got yet of large topics, in
// the order in which it was broadcast. So what overtakes a large broadcast
// overtakes nothing on this connection.
func (f *Flusher) giveLacking(c *Conn) {
	if len(f.large.slicing) == 0 && len(f.large.held) == 0 {
		return
	}
	for _, p := range c.places {
		if len(p.topic.pending) == 0 {
			continue
		}
		e := &p.topic.entries[p.entry]
		if lacking := p.topic.lacking(e); len(lacking) > 0 {
			e.got = lacking[len(lacking)-1].number
			f.large.lacking = append(f.large.lacking, lacking)
		}
	}
	for len(f.large.lacking) > 0 {
		first := 0
		for i, l := range f.large.lacking {
			if l[0].number < f.large.lacking[first][0].number {
				first = i
			}
		}
		f.give(c, &f.large.lacking[first][0])
		if f.large.lacking[first] = f.large.lacking[first][1:]; len(f.large.lacking[first]) == 0 {
			f.large.lacking = slices.Delete(f.large.lacking, first, first+1)
		}
	}
}

func (f *Flusher) give(c *Conn, b *broadcast) {
	if c.id != b.except && f.put(c, b.frame.For(c.deflates)) {
		f.delivered.Add(1)
	}
}

// gave notes that everybody has been given a broadcast.
func (f *Flusher) gave(b broadcast) {
	f.pending.Add(-int64(len(b.frame.Frame)))
	if b.received == 0 {
		f.caused.Add(-int64(len(b.frame.Frame)))
		return
	}
	f.received = append(f.received, b.received)
}
