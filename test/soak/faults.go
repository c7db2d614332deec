package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"broadcastd/test/proxy"
)

// fault is something that goes wrong for a while with one of its targets.
type fault struct {
	what        string
	targets     []string // one of them has it; a+b: both
	least, most time.Duration
	run         func(d *dealer, target string, long time.Duration)
}

var (
	mortal = []string{"n2", "n3"} // n1 and solo live on, and their memory is looked at
	some   = []string{"n1", "n2", "n3", "solo"}
)

var faults = []fault{
	{"node killed", mortal, 500 * time.Millisecond, 5 * time.Second, (*dealer).kill},
	{"node killed", mortal, 500 * time.Millisecond, 5 * time.Second, (*dealer).kill},
	{"rolling restart", []string{"n2+n3"}, 100 * time.Millisecond, time.Second, (*dealer).restart},
	{"node frozen, less than its lease", some, lease / 8, lease / 2, (*dealer).freeze},
	{"node frozen, longer than its lease", []string{"n1", "n2", "n3"}, lease * 3 / 2, lease * 2, (*dealer).freeze},
	{"Redis killed, and back with its data", []string{"redis"}, 200 * time.Millisecond, 3 * time.Second, (*dealer).killRedis},
	{"Redis restarted", []string{"redis"}, 200 * time.Millisecond, 3 * time.Second, (*dealer).restartRedis},
	{"Redis frozen", []string{"redis"}, 300 * time.Millisecond, 5 * time.Second, (*dealer).freezeRedis},
	{"node cut off from Redis", some, 200 * time.Millisecond, 6 * time.Second, (*dealer).cut},
	{"packets to Redis vanish", some, 200 * time.Millisecond, 6 * time.Second, (*dealer).hang},
	{"API slow", []string{"api"}, 2 * time.Second, 6 * time.Second, mood{slow: time.Second}.of("api")},
	{"API hangs", []string{"api"}, 2 * time.Second, 6 * time.Second, mood{slow: time.Minute}.of("api")},
	{"API answers 500", []string{"api"}, 2 * time.Second, 6 * time.Second, mood{status: http.StatusInternalServerError}.of("api")},
	{"webhooks answered with 500", []string{"hooks"}, 2 * time.Second, 5 * time.Second, mood{status: http.StatusInternalServerError}.of("hooks")},
	{"clients that don't read", []string{"slow clients"}, 8 * time.Second, 10 * time.Second, (*dealer).slowClients},
	{"garbage", []string{"garbage"}, time.Second, 3 * time.Second, (*dealer).garbage},
	{"reload", some, time.Second, 2 * time.Second, (*dealer).reload},
}

// dealer has faults happen, one after the other as from a deck of cards, in an order
// that the seed decides.
type dealer struct {
	s      *soak
	random *rand.Rand
	deck   []fault
	all    sync.WaitGroup // faults
}

func (s *soak) newDealer() *dealer {
	return &dealer{s: s, random: rand.New(rand.NewPCG(s.seed, 1<<32))}
}

// storm lasts until a moment, and until all that it brought is over.
func (d *dealer) storm(ctx context.Context, until moment) {
	for d.s.now() < until && ctx.Err() == nil {
		d.deal()
		sleep(ctx, time.Second+time.Duration(d.random.Int64N(int64(3*time.Second))))
	}
	d.all.Wait()
}

func (d *dealer) deal() {
	if len(d.deck) == 0 {
		d.deck = slices.Clone(faults)
		d.random.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
	}
	f := d.deck[0]
	d.deck = d.deck[1:]
	target := f.targets[d.random.IntN(len(f.targets))]
	long := f.least + time.Duration(d.random.Int64N(int64(f.most-f.least)))
	parts := strings.Split(target, "+")
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		if s.busy[p] {
			return // it has its fault
		}
	}
	for _, p := range parts {
		s.busy[p] = true
	}
	s.say("%s: %s, for %s", target, f.what, long.Round(time.Millisecond))
	i := len(s.windows)
	s.windows = append(s.windows, window{f.what, target, slices.ContainsFunc(parts, grave), span{s.now(), never}})
	d.all.Go(func() {
		f.run(d, target, long)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.windows[i].to = s.now()
		for _, p := range parts {
			delete(s.busy, p)
		}
		s.say("%s: over: %s", target, f.what)
	})
}

func (d *dealer) node(name string) *node {
	i := slices.IndexFunc(d.s.nodes, func(n *node) bool { return n.name == name })
	return d.s.nodes[i]
}

// must reports what a fault needs and didn't get.
func (d *dealer) must(err error) {
	if err != nil {
		d.s.violate("%v", err)
	}
}

func (d *dealer) kill(target string, long time.Duration) {
	n := d.node(target)
	n.kill()
	time.Sleep(long)
	d.must(n.start())
}

func (d *dealer) restart(target string, long time.Duration) {
	for name := range strings.SplitSeq(target, "+") {
		n := d.node(name)
		d.must(n.drain())
		time.Sleep(long)
		d.must(n.start())
		_ = eventually(n.ready) // Redis can be away
	}
}

func (d *dealer) freeze(target string, long time.Duration) {
	n := d.node(target)
	n.freeze()
	time.Sleep(long)
	n.thaw()
}

func (d *dealer) killRedis(_ string, long time.Duration) {
	d.must(d.s.redis.stop(syscall.SIGKILL, patience))
	time.Sleep(long)
	d.must(d.s.redis.start())
}

func (d *dealer) restartRedis(_ string, long time.Duration) {
	d.must(d.s.redis.stop(syscall.SIGTERM, patience))
	time.Sleep(long)
	d.must(d.s.redis.start())
}

func (d *dealer) freezeRedis(_ string, long time.Duration) {
	d.s.redis.freeze()
	time.Sleep(long)
	d.s.redis.thaw()
}

func (d *dealer) cut(target string, long time.Duration)  { d.between(target, long, proxy.Drops) }
func (d *dealer) hang(target string, long time.Duration) { d.between(target, long, proxy.Hangs) }

func (d *dealer) between(target string, long time.Duration, mode proxy.Mode) {
	p := d.node(target).proxy
	p.Set(mode)
	time.Sleep(long)
	p.Set(proxy.Passes)
}

func (d *dealer) reload(target string, long time.Duration) {
	d.node(target).signal(syscall.SIGHUP)
	time.Sleep(long)
}

// of is a fault by which the API, or all webhooks, have a mood.
func (m mood) of(what string) func(*dealer, string, time.Duration) {
	return func(d *dealer, _ string, long time.Duration) {
		set := func(m *mood) {
			if what == "api" {
				d.s.api.mood.Store(m)
				return
			}
			for _, g := range d.s.groups {
				g.hooks.mood.Store(m)
			}
		}
		set(&m)
		time.Sleep(long)
		set(nil)
	}
}

// grave is what happens to nodes and Redis.
func grave(target string) bool { return target == "redis" || slices.Contains(some, target) }

// around is what happened near a moment, for people.
func (s *soak) around(m moment) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var near []string
	for _, w := range s.windows {
		if w.overlaps(m-10*time.Second, m+10*time.Second) {
			near = append(near, fmt.Sprintf("%s: %s from %s to %s", w.target, w.what, clock(w.from), clock(w.to)))
		}
	}
	return strings.Join(near, "; ")
}

// troubled: something was wrong between two moments with a node or Redis.
func (s *soak) troubled(from, to moment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.windows, func(w window) bool { return w.grave && w.overlaps(from, to) })
}
