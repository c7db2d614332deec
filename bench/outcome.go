package main

import "time"

// outcome is what became of a load.
type outcome struct {
	// latencies, one for each delivery, count from when its publish began.
	latencies samples
	// slowest is the last delivery of each event, by its number in its channel.
	slowest samples
	// perSecond is how many deliveries came, from the first publish to the
	// last receipt.
	perSecond  float64
	bytes      int // on the wire, frames' headers included
	lost       int // deliveries that never came
	duplicated int // that came again
	unordered  int // that came behind a later one
}

// add puts in what one loop got and returns the later of two times.
func (o *outcome) add(t *tally, last time.Time) time.Time {
	o.latencies = append(o.latencies, t.latencies...)
	o.lost += t.missing
	o.duplicated += t.duplicated
	o.unordered += t.unordered
	for len(o.slowest) < len(t.slowest) {
		o.slowest = append(o.slowest, 0)
	}
	for seq, d := range t.slowest {
		o.slowest[seq] = max(o.slowest[seq], d)
	}
	if t.last.After(last) {
		return t.last
	}
	return last
}

// merge adds another load's deliveries and faults.
func (o *outcome) merge(more outcome) {
	o.latencies = append(o.latencies, more.latencies...)
	o.lost += more.lost
	o.duplicated += more.duplicated
	o.unordered += more.unordered
}

func (o outcome) figures(what string) []figure {
	return append([]figure{
		told(what+"publish to received, p50", milliseconds(o.latencies.percentile(50)), "ms"),
		demanded(what+"publish to received, p99", milliseconds(o.latencies.percentile(99)), "ms", below, maxDelivery),
	}, o.faults(what)...)
}

func (o outcome) faults(what string) []figure {
	return []figure{
		demanded(what+"lost, of "+count(len(o.latencies)+o.lost), float64(o.lost), "", atMost, 0),
		demanded(what+"twice or out of order", float64(o.duplicated+o.unordered), "", atMost, 0),
	}
}
