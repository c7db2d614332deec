package main

import (
	"strings"
	"testing"
	"time"
)

const sec = time.Second

// records are those of a run of 100 s with one client in one channel, of a cluster's
// node, from 10 s to 90 s, and of nothing else.
func records() (*soak, *client, *stay) {
	s := &soak{}
	g := &group{name: "many", cluster: true}
	n := &node{s: s, group: g, process: &process{name: "n1"}, runs: 2}
	c := &client{s: s, group: g, name: "c"}
	st := &stay{channel: "room", node: n, asked: 9 * sec, since: 10 * sec, until: 90 * sec, end: "it was closed with 4200"}
	c.allWants = []*want{{channel: "room", from: 9 * sec, until: never}}
	c.allStays = []*stay{st}
	c.marks = []mark{{"room", 90 * sec, st.end}}
	g.nodes, g.clients, s.groups, s.nodes = []*node{n}, []*client{c}, []*group{g}, []*node{n}
	return s, c, st
}

// published adds an event that was accepted within a second.
func published(s *soak, source string, at moment) *event {
	e := &event{group: s.groups[0], source: source, publisher: "p", channels: []string{"room"}, began: at}
	if source == byHTTP {
		e.node, e.run = s.nodes[0], 1
	}
	s.journal.publish(e)
	s.journal.answer(e, at+sec, accepted)
	return e
}

// came notes that events came, one second after the other.
func came(st *stay, at moment, events ...*event) {
	for i, e := range events {
		st.got = append(st.got, receipt{id: e.id, at: at + moment(i)*sec})
	}
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		records   func(s *soak, c *client, st *stay)
		violation string // empty: none
		explained string
	}{
		"all came": {records: func(s *soak, _ *client, st *stay) {
			came(st, 22*sec, published(s, byHTTP, 20*sec), published(s, byXADD, 30*sec))
		}},
		"one is lost": {func(s *soak, _ *client, _ *stay) { published(s, byHTTP, 20*sec) }, "never got event 0", ""},
		"one is lost, as a later one shows": {func(s *soak, _ *client, st *stay) {
			published(s, byHTTP, 85*sec)
			came(st, 88*sec, published(s, byHTTP, 87*sec))
		}, "never got event 0", ""},
		"under way at the end": {func(s *soak, _ *client, _ *stay) { published(s, byHTTP, 85*sec) }, "", "under way to it when it was closed with 4200"},
		"after the end":        {func(s *soak, _ *client, _ *stay) { published(s, byHTTP, 95*sec) }, "", "not in the channel at that moment: it was closed with 4200"},
		"before it joined":     {func(s *soak, _ *client, _ *stay) { published(s, byHTTP, 9500*time.Millisecond) }, "", "not in the channel at that moment: it was joining"},
		"not accepted": {records: func(s *soak, _ *client, _ *stay) {
			s.journal.answer(published(s, byHTTP, 20*sec), 21*sec, unknown)
		}},
		"refused, and came": {func(s *soak, _ *client, st *stay) {
			e := published(s, byHTTP, 20*sec)
			s.journal.answer(e, 21*sec, refused)
			came(st, 22*sec, e)
		}, "it was refused, and came", ""},
		"twice": {func(s *soak, _ *client, st *stay) {
			e := published(s, byHTTP, 20*sec)
			came(st, 22*sec, e, e)
		}, "it came twice", ""},
		"again on the next connection": {func(s *soak, c *client, st *stay) {
			s.nodes[0].scrapes = scrapes(110, func(int) float64 { return 1 })
			e := published(s, byXADD, 20*sec)
			came(st, 22*sec, e)
			next := &stay{channel: "room", node: st.node, asked: 91 * sec, since: 92 * sec, until: never}
			c.allStays = append(c.allStays, next)
			came(next, 93*sec, e)
		}, "it had come on an earlier connection", ""},
		"not in the publisher's order": {func(s *soak, _ *client, st *stay) {
			a, b := published(s, byHTTP, 20*sec), published(s, byHTTP, 22*sec)
			came(st, 24*sec, b, a)
		}, "it came after 1 of the same publisher", ""},
		"not in the order of another client": {func(s *soak, c *client, st *stay) {
			a, b := published(s, byHTTP, 20*sec), published(s, byHTTP, 22*sec)
			b.publisher = "q"
			other := &client{s: s, group: c.group, name: "d", allStays: []*stay{{channel: "room", node: st.node, since: 10 * sec, until: never}}}
			c.group.clients = append(c.group.clients, other)
			came(st, 24*sec, a, b)
			came(other.allStays[0], 24*sec, b, a)
		}, "it came after 1, and to client c before it", ""},
		"for others": {func(s *soak, _ *client, st *stay) {
			e := published(s, byHTTP, 20*sec)
			e.channels = []string{"elsewhere"}
			came(st, 22*sec, e)
		}, "it was for others", ""},
		"its own": {func(s *soak, c *client, st *stay) {
			e := published(s, byClient, 20*sec)
			e.sender = c
			came(st, 22*sec, e)
		}, "which had sent it", ""},
		"kept too long": {func(s *soak, c *client, st *stay) {
			st.asked, st.since = 80*sec, 81*sec
			c.allWants[0].from = 80 * sec
			e := published(s, byHTTP, 20*sec)
			published(s, byHTTP, 40*sec)
			st.got = []receipt{{e.id, true, 81 * sec}}
		}, "it was kept, but 1 was later", ""},
		"a whisper, nothing wrong": {func(s *soak, _ *client, _ *stay) { published(s, byClient, 20*sec) }, "never got event 0", ""},
		"a whisper, a node frozen": {func(s *soak, _ *client, _ *stay) {
			s.windows = []window{{grave: true, span: span{18 * sec, 19 * sec}}}
			published(s, byClient, 20*sec)
		}, "", "a whisper, which nobody confirms, during a fault"},
		"PUBLISH, heard": {func(s *soak, _ *client, _ *stay) {
			s.nodes[0].scrapes = scrapes(100, func(int) float64 { return 1 })
			published(s, byPUBLISH, 20*sec)
		}, "never got event 0", ""},
		"PUBLISH, Redis away": {func(s *soak, _ *client, _ *stay) {
			s.nodes[0].scrapes = scrapes(100, func(i int) float64 {
				if i == 24 {
					return 0
				}
				return 1
			})
			published(s, byPUBLISH, 20*sec)
		}, "", "PUBLISH while Redis was away from the node"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, c, st := records()
			test.records(s, c, st)
			v := s.judge()
			all := strings.Join(v.violations, "\n")
			if test.violation == "" && all != "" || !strings.Contains(all, test.violation) {
				t.Errorf("violations %q, want %q", all, test.violation)
			}
			if test.explained != "" && v.explained[test.explained] != 1 {
				t.Errorf("explained %v, want %q", v.explained, test.explained)
			}
		})
	}
}

// scrapes are some of run 1, a second after the other, of a node that hears PUBLISH
// as up says.
func scrapes(n int, up func(i int) float64) (all []scrape) {
	for i := range n {
		at := moment(i) * sec
		all = append(all, scrape{began: at, ended: at, run: 1, values: map[string]float64{"broadcastd_redis_up": up(i)}})
	}
	return all
}

func TestBounds(t *testing.T) {
	for name, test := range map[string]struct {
		counted float64
		wrong   bool
	}{"too few": {1, true}, "those accepted": {2, false}, "those without an answer too": {3, false}, "too many": {4, true}} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := records()
			published(s, byHTTP, 20*sec)
			published(s, byHTTP, 30*sec)
			s.journal.answer(published(s, byHTTP, 40*sec), 45*sec, unknown)
			published(s, byHTTP, 60*sec)
			s.nodes[0].scrapes = []scrape{{began: 50 * sec, ended: 50 * sec, run: 1, values: map[string]float64{eventsBy("http"): test.counted}}}
			if wrong := s.nodes[0].bounds(&s.journal); len(wrong) > 0 != test.wrong {
				t.Errorf("got %q", wrong)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	for name, test := range map[string]struct {
		grows float64 // MiB a second
		wrong bool
	}{"flat": {0, false}, "a leak": {0.5, true}} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := records()
			n := s.nodes[0]
			n.runs = 1
			n.scrapes = scrapes(200, func(int) float64 { return 1 })
			for i, a := range n.scrapes {
				a.values[metricMemory] = (30 + float64(i)*test.grows) * (1 << 20)
				a.values[connectionsNow] = 100
				if i%10 == 0 { // many more clients, and their memory, which doesn't count
					a.values[metricMemory], a.values[connectionsNow] = 500<<20, 200
				}
			}
			wrong := ""
			for _, c := range s.memory() {
				wrong += c.wrong
			}
			if wrong != "" != test.wrong {
				t.Errorf("got %q", wrong)
			}
		})
	}
}
