package socket

import (
	"math/rand/v2"
	"testing"
)

// TestTopics compares random joins and leaves with a model of sets.
func TestTopics(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	ts := make(topics)
	conns := make([]*Conn, 20)
	for i := range conns {
		conns[i] = &Conn{}
	}
	type pair struct {
		topic uint64
		conn  *Conn
	}
	model := make(map[pair]bool)
	for range 20_000 {
		p := pair{uint64(rnd.IntN(10)), conns[rnd.IntN(len(conns))]}
		switch action := rnd.IntN(20); {
		case action == 0:
			ts.leaveAll(p.conn)
			for q := range model {
				if q.conn == p.conn {
					delete(model, q)
				}
			}
		case model[p]:
			ts.leave(p.topic, p.conn)
			delete(model, p)
		case action < 10:
			ts.join(p.topic, p.conn, 0)
			model[p] = true
		default:
			ts.leave(p.topic, p.conn) // it isn't there
		}
	}
	n := 0
	for id, topic := range ts {
		for at, e := range topic.entries {
			n++
			if !model[pair{id, e.conn}] {
				t.Errorf("topic %d has a connection that left", id)
			}
			if back := e.conn.places[e.slot]; back.topic != topic || back.entry != at {
				t.Errorf("topic %d: entry %d and its place don't point at each other", id, at)
			}
		}
	}
	if n != len(model) {
		t.Errorf("%d entries, want %d", n, len(model))
	}
	for _, c := range conns {
		ts.leaveAll(c)
	}
	if len(ts) != 0 {
		t.Errorf("%d topics stay after everyone has left", len(ts))
	}
}
