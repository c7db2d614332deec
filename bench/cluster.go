package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// rareRate is events, or joins, a second that come one by one. At b.rate some
	// of them come together.
	rareRate = 100
	// lanes is how many channels have events at the same time. It has no divisor
	// with the numbers of nodes, so clients that come to nodes in turn and take
	// channels in turn are in each channel on each node.
	lanes = 8
	// atOnce is a rate that is none: as fast as the load can.
	atOnce = 1_000_000
	// burst is how many events an API adds to the log at once, and burstRate how
	// many of them in a second, to see what an event costs where they come together.
	burst     = 100
	burstRate = 10_000
	// roomSize is how many members a presence channel has.
	roomSize = 10
	// clusterLog and clusterCounts are keys of the app.
	clusterLog    = "broadcastd:{bench:0}:log"
	clusterCounts = "broadcastd:{bench:0}:channels"
)

// byItself is a daemon without a cluster, with which the others are compared.
const byItself = "no scaling: "

// formation is some daemons, for as long as the scenario runs.
type formation struct {
	name   string // what its figures begin with
	size   int
	env    []string
	shared bool // it is a cluster
	routes []route
	*nodes
	crowd *crowd // who join and leave
}

// route is a way to publish, at some rates.
type route struct {
	name  string
	rates []int
	run   func(context.Context, *formation, load, *crowd) (outcome, error)
}

// oneByOne publishes a single event of each channel at a time.
func oneByOne(name string, b *bench, make func(*formation) publisher) route {
	return route{name, []int{rareRate, b.rate}, func(ctx context.Context, f *formation, l load, c *crowd) (outcome, error) {
		return l.runParallel(ctx, c, func() publisher { return make(f) })
	}}
}

// throughHTTP is what daemons with and without a cluster are compared by.
const throughHTTP = "HTTP at one node"

func formations(b *bench) []*formation {
	scaling := []string{
		"BROADCASTD_SCALING_ENABLED=true", "BROADCASTD_REDIS_SOURCE=stream",
		"BROADCASTD_SCALING_LOG_LENGTH=100000000", // all stays, to be measured
	}
	http := oneByOne(throughHTTP, b, func(f *formation) publisher { return httpPublisher(f.daemons[0].addr, benchApp) })
	publish := oneByOne("PUBLISH", b, func(f *formation) publisher { return redisPublisher(f.redis.client) })
	xadd := oneByOne("XADD", b, func(f *formation) publisher { return logPublisher(f.redis.client) })
	bursts := route{fmt.Sprintf("XADD, %d at once", burst), []int{burstRate}, func(ctx context.Context, f *formation, l load, c *crowd) (outcome, error) {
		return l.run(ctx, c, burstPublisher(f.redis.client, burst, l.events()))
	}}
	return []*formation{
		{name: byItself, size: 1, routes: []route{http, publish}},
		{name: "no scaling, redis.source stream: ", size: 1, env: scaling[1:], routes: []route{xadd, bursts}},
		{name: "1 node: ", size: 1, env: scaling, shared: true, routes: []route{http, xadd, bursts}},
		{name: "3 nodes: ", size: 3, env: scaling, shared: true, routes: []route{http, bursts}},
		{name: "5 nodes: ", size: 5, env: scaling, shared: true, routes: []route{http, bursts}},
	}
}

// measureCluster lets clusters of several sizes, each with a Redis of its own, and
// a daemon without one take turns.
func measureCluster(ctx context.Context, b *bench) (figures []figure, err error) {
	all := formations(b)
	n := b.possible(min(b.connections, b.rate), len(all))
	defer func() {
		for _, f := range all {
			if f.crowd != nil {
				f.crowd.disperse()
			}
			if f.nodes != nil {
				err = errors.Join(err, f.stop())
			}
		}
	}()
	for _, f := range all {
		if f.nodes, err = startNodes(ctx, b.daemon, f.size, f.env...); err != nil {
			return nil, err
		}
	}
	m, heard := &medians{}, &outcome{}
	for round := range b.rounds {
		b.say("round %d of %d", round+1, b.rounds)
		for _, f := range all {
			if err := f.round(ctx, b, n, m, heard); err != nil {
				return nil, fmt.Errorf("%s%w", f.name, err)
			}
		}
	}
	return append(m.figures(), heard.faults("all events: ")...), nil
}

func (f *formation) round(ctx context.Context, b *bench, n int, m *medians, heard *outcome) error {
	if err := f.rest(ctx, b.duration/2); err != nil {
		return err
	}
	m.add(f.name+"Redis in a second without clients", f.resting.redis, "µs")
	m.add(f.name+"a node in a second without clients", f.resting.together()/float64(f.size), "µs")
	if err := f.measureEvents(ctx, b, m, heard); err != nil {
		return err
	}
	if f.shared || f.name == byItself {
		return f.measureJoins(ctx, b, n, m)
	}
	return nil
}

// measureEvents publishes at the first node, to clients there or on all nodes.
func (f *formation) measureEvents(ctx context.Context, b *bench, m *medians, heard *outcome) error {
	size, kept, err := f.log(ctx)
	if err != nil {
		return err
	}
	if f.size == 1 {
		err = f.heardOn(ctx, b, f.addrs(), "", m, heard)
	} else {
		err = errors.Join(
			f.heardOn(ctx, b, f.addrs()[:1], ", heard there only", m, heard),
			f.heardOn(ctx, b, f.addrs(), ", heard on all", m, heard))
	}
	if err != nil {
		return err
	}
	longer, more, err := f.log(ctx)
	if err == nil && longer > size {
		m.add(fmt.Sprintf("%sRedis's memory for an entry of the log with %d bytes of data", f.name, eventSize), float64(more-kept)/float64(longer-size), "B")
	}
	return err
}

// heardOn publishes in all ways, to clients of the nodes at some addresses.
func (f *formation) heardOn(ctx context.Context, b *bench, addrs []string, where string, m *medians, heard *outcome) error {
	c, err := gather(ctx, arrival{
		nodes: addrs, clients: lanes * len(addrs), rate: arrivalRate, loops: b.loops,
		channels: func(i int) []string { return []string{lane(i)} },
	})
	if err != nil {
		return err
	}
	defer c.disperse()
	for _, r := range f.routes {
		for _, rate := range r.rates {
			if err := f.events(ctx, b, c, r, rate, where, m, heard); err != nil {
				return err
			}
		}
	}
	return nil
}

func lane(i int) string { return fmt.Sprintf("jobs.%d", i%lanes) }

func (f *formation) events(ctx context.Context, b *bench, c *crowd, r route, rate int, where string, m *medians, heard *outcome) error {
	l := load{rate: rate, duration: b.duration / 2, size: eventSize}
	for i := range lanes {
		l.channels = append(l.channels, lane(i))
	}
	var o outcome
	spent, err := f.cost(func() (err error) {
		o, err = r.run(ctx, f, l, c)
		return err
	})
	if err != nil {
		return err
	}
	heard.merge(o)
	n := float64(l.events())
	how := fmt.Sprintf("%s/s by %s", count(rate), r.name)
	what := f.name + how + where + ": "
	if f.shared || r.name != throughHTTP {
		m.add(what+"Redis, an event", spent.redis/n, "µs")
	}
	m.add(what+"the node, an event", spent.nodes[0]/n, "µs")
	if f.size > 1 {
		m.add(what+"each other node, an event", spent.others()/n, "µs")
	}
	if f.shared && r.name == throughHTTP {
		m.add(what+"ratio of the node to one without scaling", spent.nodes[0]/n/m.last(byItself+how+": the node, an event"), "")
	}
	if rate == burstRate {
		return nil // an event waits until its burst is together
	}
	m.add(what+"publish to received, p50", milliseconds(o.latencies.percentile(50)), "ms")
	m.add(what+"publish to received, p99", milliseconds(o.latencies.percentile(99)), "ms")
	return nil
}

// log tells how long the log is, and what it takes in Redis's memory.
func (f *formation) log(ctx context.Context) (entries, bytes int64, err error) {
	if entries, err = f.redis.client.XLen(ctx, clusterLog).Result(); err != nil || entries == 0 {
		return 0, 0, err
	}
	bytes, err = f.redis.client.MemoryUsage(ctx, clusterLog, 0).Result()
	return entries, bytes, err
}

// measureJoins has clients, which come to all nodes in turn, join and leave.
func (f *formation) measureJoins(ctx context.Context, b *bench, n int, m *medians) error {
	if f.crowd == nil {
		spent, err := f.cost(func() (err error) {
			f.crowd, err = gather(ctx, arrival{nodes: f.addrs(), clients: n, rate: b.rate, loops: b.loops})
			return err
		})
		if err != nil {
			return err
		}
		f.tell(m, fmt.Sprintf("%s/s connect: ", count(b.rate)), "a connection", spent, n)
	}
	for _, kind := range []struct {
		name    string
		channel func(i int) string
	}{
		{"private channel of one's own", userChannel},
		{fmt.Sprintf("presence channel of %d", roomSize), func(i int) string { return fmt.Sprintf("presence-room.%d", i/roomSize) }},
	} {
		for _, l := range []struct {
			name    string
			rate, n int
		}{
			{count(rareRate) + "/s", rareRate, max(n/20, 1)},
			{count(b.rate) + "/s", b.rate, n},
			{count(n) + " at once", atOnce, n},
		} {
			what := fmt.Sprintf("%s, a %s: ", l.name, kind.name)
			joins, err := f.cost(func() error { return f.crowd.enter(ctx, l.n, l.rate, kind.channel) })
			if err != nil {
				return err
			}
			f.tell(m, what, "a join", joins, l.n)
			if f.shared && l.rate == b.rate {
				bytes, err := f.memory(ctx)
				if err != nil {
					return err
				}
				m.add(fmt.Sprintf("%sRedis's memory for one in a %s", f.name, kind.name), bytes/float64(l.n), "B")
			}
			leaves, err := f.cost(func() error {
				if err := f.crowd.part(ctx, l.n, l.rate); err != nil {
					return err
				}
				return f.vacant(ctx)
			})
			if err != nil {
				return err
			}
			f.tell(m, what, "a leave", leaves, l.n)
		}
	}
	return f.crowd.broken()
}

func (f *formation) tell(m *medians, what, of string, spent bill, n int) {
	if f.shared {
		m.add(f.name+what+"Redis, "+of, spent.redis/float64(n), "µs")
	}
	together := spent.together() / float64(n)
	m.add(f.name+what+"the nodes together, "+of, together, "µs")
	if f.shared {
		m.add(f.name+what+"ratio to one without scaling, "+of, together/m.last(byItself+what+"the nodes together, "+of), "")
	}
}

// memory is what Redis takes for who is where.
func (f *formation) memory(ctx context.Context) (bytes float64, err error) {
	for _, pattern := range []string{clusterCounts, "broadcastd:{bench:0}:node:*", "broadcastd:{bench:0}:members:*"} {
		keys, err := f.redis.client.Keys(ctx, pattern).Result()
		if err != nil {
			return 0, err
		}
		for _, key := range keys {
			n, err := f.redis.client.MemoryUsage(ctx, key, 0).Result()
			if err != nil {
				return 0, err
			}
			bytes += float64(n)
		}
	}
	return bytes, nil
}

// vacant waits until nobody is in a channel any more.
func (f *formation) vacant(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for f.shared {
		n, err := f.redis.client.HLen(ctx, clusterCounts).Result()
		if err != nil {
			return err
		}
		if n <= 1 { // the number of connections
			return nil
		}
		if _, err := wait(ctx, time.Now().Add(20*time.Millisecond)); err != nil {
			return fmt.Errorf("%d channels are still occupied: %w", n-1, err)
		}
	}
	return nil
}
