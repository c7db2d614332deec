package main

import "fmt"

// tally is what nodes counted, and what the soak did, up to a moment at which
// nothing happened.
type tally struct {
	events   int // in the journal
	scrapes  map[*node]scrape
	received map[*node]int
}

func (s *soak) tally() (t tally, err error) {
	t = tally{scrapes: map[*node]scrape{}, received: map[*node]int{}}
	s.journal.mu.Lock()
	t.events = len(s.journal.events)
	s.journal.mu.Unlock()
	for _, n := range s.nodes {
		if t.scrapes[n], err = n.scrape(); err != nil {
			return t, err
		}
	}
	for _, g := range s.groups {
		for _, c := range g.clients {
			c.mu.Lock()
			if c.node != nil {
				t.received[c.node] += c.received
			}
			c.mu.Unlock()
		}
	}
	return t, nil
}

// counted is an error unless nodes have counted since before what the soak did, while
// nobody came or went and nothing was wrong.
func (s *soak) counted(before tally) error {
	after, err := s.tally()
	if err != nil {
		return err
	}
	for _, g := range s.groups {
		did := map[string]int{} // by source, once for each channel
		for _, e := range s.journal.events[before.events:after.events] {
			if e.group != g {
				continue
			}
			if e.outcome != accepted {
				return fmt.Errorf("event %d by %s at %s came to nothing: %s", e.id, e.source, clock(e.began), e.outcome)
			}
			did[e.source] += len(e.channels)
		}
		once := map[string]int{}
		for _, n := range g.nodes {
			was, is := before.scrapes[n].values, after.scrapes[n].values
			more := func(name string) int { return int(is[name] - was[name]) }
			if got := more("broadcastd_connections_total") + more("broadcastd_disconnections_total"); got != 0 {
				return fmt.Errorf("node %s has counted %d connections and disconnections, and there were none", n.name, got)
			}
			if got, want := more("broadcastd_deliveries_total"), after.received[n]-before.received[n]; got != want {
				return fmt.Errorf("node %s has counted %d deliveries; its clients got %d", n.name, got, want)
			}
			for source, label := range map[string]string{byXADD: "stream", byPUBLISH: "redis"} {
				if got := more(eventsBy(label)); got != did[source] {
					return fmt.Errorf("node %s has counted %d events by %s; there were %d", n.name, got, source, did[source])
				}
			}
			once[byHTTP] += more(eventsBy("http"))
			once[byClient] += more(eventsBy("client"))
		}
		for source, got := range once {
			if got != did[source] {
				return fmt.Errorf("the nodes of %s have counted %d events by %s; there were %d", g.name, got, source, did[source])
			}
		}
	}
	return nil
}
