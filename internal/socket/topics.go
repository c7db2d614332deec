package socket

import (
	"cmp"
	"slices"

	"broadcastd/protocol"
)

// topic is one flusher's part of a channel: those of its connections that
// joined, and the broadcasts that not all of them have got yet.
type topic struct {
	id      uint64
	entries []entry

	// A large topic's broadcasts are given out in passes over its entries, from
	// the last to the first, one slice after another. Each entry gets all that
	// it lacks, so a pass may begin with one broadcast and end with several.
	pending    []broadcast
	due, began int64  // when the next pass may begin, and the last one did, on clock()
	begun      uint64 // number of the latest when it did
	at         int    // entries from here on have had their turn
}

// broadcast is a frame for all connections in a topic but one.
type broadcast struct {
	frame    protocol.Shared
	except   protocol.SocketID
	received int64  // when the event came in, on clock(); 0: it is none
	number   uint64 // in the order of the flusher's inbox; only pending ones count
}

// entry and place point at each other, so that leaving takes no search through
// the other side: entries[place.entry] is the connection's, and its slot is
// the place's index in conn.places.
type entry struct {
	conn *Conn
	slot int
	got  uint64 // number of the latest broadcast that needn't be given to it
}

type place struct {
	topic *topic
	entry int
}

// topics is owned by a flusher.
type topics map[uint64]*topic

// join makes c get what is broadcast after the one of that number.
func (ts topics) join(id uint64, c *Conn, number uint64) {
	t := ts[id]
	if t == nil {
		t = &topic{id: id}
		ts[id] = t
	}
	c.places = append(c.places, place{t, len(t.entries)})
	t.entries = append(t.entries, entry{c, len(c.places) - 1, number})
}

func (ts topics) leave(id uint64, c *Conn) {
	for slot := range c.places {
		if c.places[slot].topic.id == id {
			ts.drop(c, slot)
			return
		}
	}
}

func (ts topics) leaveAll(c *Conn) {
	for len(c.places) > 0 {
		ts.drop(c, len(c.places)-1)
	}
	c.places = nil
}

// drop fills both gaps with the last of each list. An entry that has had its
// turn in a pass may so get another, in which it lacks nothing.
func (ts topics) drop(c *Conn, slot int) {
	t, at := c.places[slot].topic, c.places[slot].entry

	last := len(t.entries) - 1
	moved := t.entries[last]
	t.entries[at] = moved
	moved.conn.places[moved.slot].entry = at
	t.entries[last] = entry{}
	t.entries = t.entries[:last]
	t.at = min(t.at, last)
	if last == 0 {
		delete(ts, t.id)
	}

	last = len(c.places) - 1
	c.places[slot] = c.places[last]
	c.places[last] = place{}
	c.places = c.places[:last]
	if slot < last {
		c.places[slot].topic.entries[c.places[slot].entry].slot = slot
	}
}

func (t *topic) beginPass(now int64) {
	t.began, t.at, t.begun = now, len(t.entries), t.pending[len(t.pending)-1].number
}

// endPass removes from pending what everybody has got by now, and returns it.
func (t *topic) endPass() []broadcast {
	n := t.after(t.begun)
	given := slices.Clone(t.pending[:n])
	if t.pending = slices.Delete(t.pending, 0, n); len(t.pending) == 0 {
		t.pending = nil
	}
	return given
}

// lacking is what an entry has still to get.
func (t *topic) lacking(e *entry) []broadcast { return t.pending[t.after(e.got):] }

// after is the index of the first pending broadcast behind a number.
func (t *topic) after(number uint64) int {
	n, _ := slices.BinarySearchFunc(t.pending, number+1, func(b broadcast, n uint64) int { return cmp.Compare(b.number, n) })
	return n
}
