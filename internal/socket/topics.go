package socket

// topic is one flusher's part of a channel: those of its connections that
// joined.
type topic struct {
	id      uint64
	entries []entry
}

// entry and place point at each other, so that leaving takes no search through
// the other side: entries[place.entry] is the connection's, and its slot is
// the place's index in conn.places.
type entry struct {
	conn *Conn
	slot int
}

type place struct {
	topic *topic
	entry int
}

// topics is owned by a flusher.
type topics map[uint64]*topic

func (ts topics) join(id uint64, c *Conn) {
	t := ts[id]
	if t == nil {
		t = &topic{id: id}
		ts[id] = t
	}
	c.places = append(c.places, place{t, len(t.entries)})
	t.entries = append(t.entries, entry{c, len(c.places) - 1})
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

// drop fills both gaps with the last of each list.
func (ts topics) drop(c *Conn, slot int) {
	t, at := c.places[slot].topic, c.places[slot].entry

	last := len(t.entries) - 1
	moved := t.entries[last]
	t.entries[at] = moved
	moved.conn.places[moved.slot].entry = at
	t.entries[last] = entry{}
	t.entries = t.entries[:last]
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
