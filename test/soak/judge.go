package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// margin is how long an event may take to a client that stays: longer than any fault.
const margin = 30 * time.Second

// noticed is within what a node notices that a connection to Redis is dead.
const noticed = 6 * time.Second

// verdict is what the records come to.
type verdict struct {
	violations  []string
	published   map[string]map[outcome]int // by source, once for each channel
	expected    map[string]int             // by source, once for each client that wanted it
	delivered   map[string]int
	explained   map[string]int // by cause
	unexplained int
	ends        map[string]int // of connections, by reason
	again       map[string]int // events that came on two connections of a client, by source
	calm        []time.Duration
	memory      []curve
	slow        int // clients that were closed because they didn't read
}

// losses judges the records of one client after the other.
type losses struct {
	s      *soak
	v      *verdict
	events map[*group]map[string][]*event // accepted, by channel, by their beginning
	order  map[string]map[[2]int32]string // by group and channel: which event a client got behind which
}

// judge compares all that was recorded. Nothing may happen any more.
func (s *soak) judge() verdict {
	v := verdict{
		violations: s.violations, published: map[string]map[outcome]int{}, expected: map[string]int{},
		delivered: map[string]int{}, explained: map[string]int{}, ends: map[string]int{}, again: map[string]int{},
	}
	l := &losses{s: s, v: &v, events: map[*group]map[string][]*event{}, order: map[string]map[[2]int32]string{}}
	for _, e := range s.journal.events {
		if v.published[e.source] == nil {
			v.published[e.source] = map[outcome]int{}
		}
		v.published[e.source][e.outcome] += len(e.channels)
		if e.outcome != accepted {
			continue
		}
		if l.events[e.group] == nil {
			l.events[e.group] = map[string][]*event{}
		}
		for _, channel := range e.channels {
			l.events[e.group][channel] = append(l.events[e.group][channel], e)
		}
	}
	for _, channels := range l.events {
		for _, events := range channels { // ids are given a moment after the beginning
			slices.SortStableFunc(events, func(a, b *event) int { return int(a.began - b.began) })
		}
	}
	for _, g := range s.groups {
		for _, c := range g.clients {
			for why, n := range c.ends {
				v.ends[why] += n
			}
			l.client(c)
		}
	}
	for _, n := range s.nodes {
		v.violations = append(v.violations, n.bounds(&s.journal)...)
		v.slow += n.closedAsSlow()
	}
	v.memory = s.memory()
	for _, c := range v.memory {
		if c.wrong != "" {
			v.violations = append(v.violations, c.wrong)
		}
	}
	slices.Sort(v.calm)
	return v
}

func (l *losses) violate(format string, args ...any) {
	l.v.violations = append(l.v.violations, fmt.Sprintf(format, args...))
}

// client judges what one got.
func (l *losses) client(c *client) {
	stays := map[string][]*stay{}
	got := map[string]map[int32]receipt{}
	for _, st := range c.allStays {
		stays[st.channel] = append(stays[st.channel], st)
		if got[st.channel] == nil {
			got[st.channel] = map[int32]receipt{}
		}
		l.stay(c, st, got[st.channel])
	}
	for _, w := range c.allWants {
		events := l.events[c.group][w.channel]
		i, _ := slices.BinarySearchFunc(events, w.from, func(e *event, m moment) int { return int(e.began - m) })
		for _, e := range events[i:] {
			if e.began >= w.until {
				break
			}
			if e.sender != c {
				l.event(c, e, w, stays[w.channel], got[w.channel])
			}
		}
	}
}

// stay judges what came in one stay: that it may have come, once, and in order.
func (l *losses) stay(c *client, st *stay, got map[int32]receipt) {
	tell := func(r receipt, what string) {
		e := l.s.journal.events[r.id]
		l.violate("client %s, in %s on node %s since %s, at %s: event %d by %s of %s, which began at %s: %s. Around: %s",
			c.name, st.channel, st.node.name, clock(st.since), clock(r.at), r.id, e.source, e.publisher, clock(e.began), what, l.s.around(r.at))
	}
	here := map[int32]bool{}
	last := map[string]*event{} // by publisher
	before := int32(-1)         // of the log
	seen := l.order[c.group.name+" "+st.channel]
	if seen == nil {
		seen = map[[2]int32]string{}
		l.order[c.group.name+" "+st.channel] = seen
	}
	for _, r := range st.got {
		if int(r.id) >= len(l.s.journal.events) {
			l.violate("client %s got event %d, which was never published", c.name, r.id)
			continue
		}
		e := l.s.journal.events[r.id]
		switch {
		case e.group != c.group || !slices.Contains(e.channels, st.channel):
			tell(r, "it was for others")
		case e.outcome == refused:
			tell(r, "it was refused, and came all the same")
		case e.sender == c && e.life == st.life && !r.kept:
			tell(r, "it was not for this client, which had sent it")
		}
		if r.kept {
			l.kept(st, r, e, tell)
			if _, ok := got[r.id]; !ok {
				got[r.id] = r
			}
			continue
		}
		if here[r.id] {
			tell(r, "it came twice")
		} else if _, again := got[r.id]; again && !got[r.id].kept {
			l.v.again[e.source]++
			if st.node.steady(st.asked-noticed, r.at) { // and not behind
				tell(r, "it had come on an earlier connection, at "+clock(got[r.id].at))
			}
		}
		here[r.id], got[r.id] = true, r
		if e.source == byClient || e.outcome != accepted {
			continue
		}
		if p := last[e.publisher]; p != nil && p.id > e.id {
			tell(r, fmt.Sprintf("it came after %d of the same publisher", p.id))
		}
		last[e.publisher] = e
		if e.source == byPUBLISH {
			continue
		}
		if before >= 0 && before != r.id {
			seen[[2]int32{before, r.id}] = c.name
			if other, ok := seen[[2]int32{r.id, before}]; ok {
				tell(r, fmt.Sprintf("it came after %d, and to client %s before it", before, other))
			}
		}
		before = r.id
	}
}

// kept: what a cache channel gives is the last event, but for what has just come.
func (l *losses) kept(st *stay, r receipt, e *event, tell func(receipt, string)) {
	const ago = 15 * time.Second
	if l.s.troubled(st.asked-ago, st.since) {
		return
	}
	events := l.events[e.group][st.channel]
	for _, f := range slices.Backward(events) {
		if f.source != byPUBLISH && f.source != byClient && f.answered < st.asked-ago && f.began > e.answered {
			tell(r, fmt.Sprintf("it was kept, but %d was later, at %s", f.id, clock(f.began)))
			return
		}
		if f.began < e.began {
			return
		}
	}
}

// event judges whether a client that wanted it got an accepted event, and if not, why.
func (l *losses) event(c *client, e *event, w *want, stays []*stay, got map[int32]receipt) {
	l.v.expected[e.source]++
	if r, ok := got[e.id]; ok {
		l.v.delivered[e.source]++
		calm := func(a span) bool { return a.from <= e.began && r.at <= a.to }
		if e.source != byClient && !r.kept && slices.ContainsFunc(l.s.calms, calm) {
			l.v.calm = append(l.v.calm, r.at-e.began)
		}
		return
	}
	var at *stay
	for _, st := range stays {
		if st.since < e.began && e.began < st.until {
			at = st
		}
	}
	switch {
	case at == nil:
		l.v.explained["not in the channel at that moment: "+l.why(c, e, w)]++
	case e.source == byPUBLISH && !at.node.steady(e.began, e.answered+noticed):
		l.v.explained["PUBLISH while Redis was away from the node"]++
	case e.source == byClient && l.s.troubled(e.began-margin/3, e.began+margin/3):
		l.v.explained["a whisper, which nobody confirms, during a fault"]++
	case at.until < e.answered+margin && !l.later(at, e):
		l.v.explained["under way to it when "+at.end]++
	default:
		l.v.unexplained++
		until := "the end"
		if at.until != never {
			until = clock(at.until) + " (" + at.end + ")"
		}
		l.violate("client %s, in %s on node %s from %s to %s, never got event %d by %s of %s, which was accepted between %s and %s. Around: %s",
			c.name, e.channels, at.node.name, clock(at.since), until, e.id, e.source, e.publisher, clock(e.began), clock(e.answered), l.s.around(e.began))
	}
}

// why a client that wanted to be in a channel wasn't.
func (l *losses) why(c *client, e *event, w *want) string {
	why := "it was joining"
	for _, m := range c.marks {
		if m.channel == w.channel && w.from <= m.at && m.at <= e.began {
			why = m.why
		}
	}
	return why
}

// later: what came in the stay by the same way was published after e was accepted.
func (l *losses) later(st *stay, e *event) bool {
	return slices.ContainsFunc(st.got, func(r receipt) bool {
		f := l.s.journal.events[r.id]
		return !r.kept && f.source != byClient && (f.source == byPUBLISH) == (e.source == byPUBLISH) && f.outcome == accepted && f.began > e.answered
	})
}

// bounds are what a node's counters, when they were last read in each run, are below
// or above of what was done to it.
func (n *node) bounds(j *journal) (wrong []string) {
	const lag = time.Second // by which a counter may come behind the answer
	last := map[int]scrape{}
	for _, s := range n.scrapes {
		last[s.run] = s
	}
	for _, run := range slices.Sorted(maps.Keys(last)) {
		s := last[run]
		least, most := map[string]int{}, map[string]int{}
		for _, e := range j.events {
			if e.node != n || e.run != run || e.began > s.ended {
				continue
			}
			name := eventsBy("http")
			if e.source == byClient {
				name = eventsBy("client")
			} else if e.outcome == accepted && e.answered+lag < s.began {
				least[name] += len(e.channels)
			}
			if e.outcome != refused {
				most[name] += len(e.channels)
			}
		}
		const connections = "broadcastd_connections_total"
		for _, v := range j.visits {
			if v.node != n || v.run != run || v.began > s.ended {
				continue
			}
			most[connections]++
			if v.established > 0 && v.established+lag < s.began {
				least[connections]++
			}
		}
		for _, name := range slices.Sorted(maps.Keys(most)) {
			if is := int(s.values[name]); is < least[name] || is > most[name] {
				wrong = append(wrong, fmt.Sprintf("node %s, run %d: %s was %d at %s, and should be from %d to %d",
					n.name, run, name, is, clock(s.began), least[name], most[name]))
			}
		}
		for _, name := range []string{"broadcastd_log_gaps_total", "broadcastd_log_rewinds_total"} {
			if is := s.values[name]; is != 0 {
				wrong = append(wrong, fmt.Sprintf("node %s, run %d: %s was %v, and nothing was taken from Redis", n.name, run, name, is))
			}
		}
	}
	return wrong
}

// closedAsSlow is how many clients the node has closed because they didn't read.
func (n *node) closedAsSlow() (total int) {
	for i, s := range n.scrapes {
		if i == len(n.scrapes)-1 || n.scrapes[i+1].run != s.run {
			total += int(s.values[slowBy])
		}
	}
	return total
}

// quoted are the first of many.
func quoted(all []string, most int) string {
	text := ""
	for i, line := range all {
		if i == most {
			return text + fmt.Sprintf("- … and %d more\n", len(all)-most)
		}
		text += "- " + strings.TrimSpace(line) + "\n"
	}
	return text
}
