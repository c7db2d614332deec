package main

import "time"

// track is what one client has got of the present load.
type track struct {
	seen   []uint64 // a bit for each event that it shall get
	events int
	latest int // the highest number so far
}

// tally is what the clients of one loop get of a load.
type tally struct {
	run        int64
	missing    int // deliveries that have not come yet
	complete   chan struct{}
	duplicated int // came again
	unordered  int // came behind a later one
	latencies  samples
	slowest    samples // of each event, by number: the delivery that came last
	last       time.Time
}

// newTally has clients follow a load, of which client i shall get events(i).
func newTally(run int64, clients []*client, events func(i int) int) *tally {
	t := &tally{run: run, complete: make(chan struct{})}
	most := 0
	for i, c := range clients {
		n := events(i)
		c.track = track{seen: make([]uint64, (n+63)/64), events: n, latest: -1}
		t.missing += n
		most = max(most, n)
	}
	t.latencies, t.slowest = make(samples, 0, t.missing), make(samples, most)
	t.done()
	return t
}

func (t *tally) done() {
	if t.missing == 0 {
		close(t.complete)
	}
}

// take counts a delivery. One of an earlier load is left out: it was lost
// there.
func (t *tally) take(c *track, e event, now time.Time) {
	if e.run != t.run || e.seq >= c.events {
		return
	}
	word, bit := e.seq/64, uint64(1)<<(e.seq%64)
	if c.seen[word]&bit != 0 {
		t.duplicated++
		return
	}
	c.seen[word] |= bit
	if e.seq < c.latest {
		t.unordered++
	}
	c.latest = max(c.latest, e.seq)
	latency := now.Sub(e.began)
	t.latencies = append(t.latencies, latency)
	t.slowest[e.seq] = max(t.slowest[e.seq], latency)
	t.last = now
	t.missing--
	t.done()
}
