package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// soak is everything that a run has.
type soak struct {
	options
	began    time.Time
	redis    *redisServer
	api      *fakeAPI
	groups   []*group
	nodes    []*node // of all groups
	journal  journal
	idle     map[*node]scrape // before anybody came
	progress io.Writer

	churn sync.RWMutex // held by who comes, goes, joins or leaves
	load  sync.RWMutex // held by who publishes or whispers
	stop  context.CancelFunc
	all   sync.WaitGroup // clients, publishers, scrapers

	mu         sync.Mutex // guards the following
	violations []string
	windows    []window
	busy       map[string]bool // what has its fault
	calms      []span
}

// group is what clients of one address have to do with.
type group struct {
	name     string
	cluster  bool
	prefix   string // of PUBLISH
	nodes    []*node
	hooks    *receiver
	channels []string
	clients  []*client
}

// window is a time in which something was wrong.
type window struct {
	what, target string
	grave        bool // a node or Redis has it
	span
}

type span struct{ from, to moment }

func (a span) overlaps(from, to moment) bool { return a.from <= to && from <= a.to }

func (s *soak) now() moment { return time.Since(s.began) }

// clock is a moment for people.
func clock(m moment) string { return fmt.Sprintf("%.2fs", m.Seconds()) }

func (s *soak) say(format string, args ...any) {
	fmt.Fprintf(s.progress, "%8s  %s\n", fmt.Sprintf("%.1fs", s.now().Seconds()), fmt.Sprintf(format, args...))
}

// violate notes what must not be.
func (s *soak) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, text)
	if len(s.violations) <= 20 {
		s.say("VIOLATION: %s", text)
	}
}

// start starts everything, but for what the run does.
func start(o options, progress io.Writer) (s *soak, err error) {
	s = &soak{options: o, began: time.Now(), progress: progress, api: startFakeAPI(), busy: map[string]bool{}, idle: map[*node]scrape{}}
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "soak"); err != nil {
			return nil, err
		}
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	if s.daemon == "" {
		s.daemon = filepath.Join(s.dir, "broadcastd")
		if out, err := exec.Command("go", "build", "-o", s.daemon, "broadcastd/cmd/broadcastd").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the daemon: %w: %s", err, out)
		}
	}
	log, err := os.Create(filepath.Join(s.dir, "soak.log"))
	if err != nil {
		return nil, err
	}
	s.progress = io.MultiWriter(progress, log)
	s.say("seed %d, for %s; logs are in %s", s.seed, s.long, s.dir)
	if s.redis, err = startRedis(s.dir); err != nil {
		return nil, err
	}
	for _, g := range []*group{{name: "many", cluster: true, prefix: "many-"}, {name: "solo", prefix: "solo-"}} {
		g.hooks = startReceiver(g.cluster)
		names := []string{"n1", "n2", "n3"}
		if !g.cluster {
			names = []string{"solo"}
		}
		for _, name := range names {
			n, err := s.newNode(g, name)
			if err != nil {
				return nil, err
			}
			g.nodes = append(g.nodes, n)
			s.nodes = append(s.nodes, n)
		}
		s.groups = append(s.groups, g)
		s.people(g)
	}
	return s, nil
}

// people makes a group's channels and clients.
func (s *soak) people(g *group) {
	n := s.clients / 3
	if g.cluster {
		n = s.clients - n
	}
	for kind, count := range map[string]int{"": n / 12, "private-": n / 15, "presence-": n / 20, "cache-": n / 30, "private-cache-": n / 40} {
		for i := range max(1, count) {
			g.channels = append(g.channels, fmt.Sprintf("%sroom.%d", kind, i))
		}
	}
	slices.Sort(g.channels)
	for i := range n {
		random := rand.New(rand.NewPCG(s.seed, uint64(len(g.name)*10_000+i)))
		g.clients = append(g.clients, &client{
			s: s, group: g, name: fmt.Sprintf("%s-%d", g.name, i), user: fmt.Sprintf("u%d", random.IntN(n*2/3+1)), manner: random.IntN(allManner),
			random: random, wants: map[string]*want{}, stays: map[string]*stay{}, ends: map[string]int{},
		})
	}
}

// run lets everything happen for as long as asked, or until ctx ends.
func (s *soak) run(ctx context.Context) {
	for _, n := range s.nodes {
		if err := eventually(func() (err error) { s.idle[n], err = n.scrape(); return err }); err != nil {
			s.violate("before anybody came: %v", err)
			return
		}
	}
	acting, stop := context.WithCancel(context.Background())
	s.stop = stop
	for _, n := range s.nodes {
		s.all.Go(func() { n.watch(acting) })
	}
	for _, g := range s.groups {
		for _, c := range g.clients {
			s.all.Go(func() { c.run(acting) })
		}
	}
	for i, p := range publishers {
		for _, g := range s.groups {
			if g.name == p.group {
				each := &publisher{s: s, group: g, name: fmt.Sprintf("p%d", i), random: rand.New(rand.NewPCG(s.seed, uint64(i)))}
				s.all.Go(func() { each.run(acting, float64(s.rate)/float64(len(publishers)), p.what) })
			}
		}
	}
	s.all.Go(func() { s.tell(acting) })
	deal := s.newDealer()
	sleep(ctx, 8*time.Second)
	for end := s.now() + s.long; s.quiet(ctx) && s.now() < end && ctx.Err() == nil; {
		sleep(ctx, 5*time.Second) // coming and going without faults
		deal.storm(ctx, min(end, s.now()+40*time.Second))
	}
}

// quiet stops who comes and goes, and everything is compared with the model; then
// there is load alone, and what is counted is compared. It is false if all is over.
func (s *soak) quiet(ctx context.Context) bool {
	s.churn.Lock()
	defer s.churn.Unlock()
	s.load.Lock()
	if err := s.agree(); err != nil {
		s.load.Unlock()
		s.violate("after all faults were over, for %s: %v", patience, err)
		return false
	}
	before, err := s.tally()
	s.load.Unlock()
	if err != nil {
		s.violate("%v", err)
		return false
	}
	calm := span{from: s.now()}
	sleep(ctx, 12*time.Second)
	s.load.Lock()
	defer s.load.Unlock()
	calm.to = s.now()
	s.mu.Lock()
	s.calms = append(s.calms, calm)
	s.mu.Unlock()
	if err := eventually(func() error { return s.counted(before) }); err != nil {
		s.violate("counters, while nothing was wrong, from %s to %s: %v", clock(calm.from), clock(calm.to), err)
		return false
	}
	return true
}

// agree waits until everybody tells of what is so, and says what took longest.
func (s *soak) agree() error {
	began, last := s.now(), "nothing"
	for _, g := range s.groups {
		err := eventually(func() error {
			err := g.check()
			if err != nil {
				last = err.Error()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	s.say("all agree, after %s; the last that didn't: %.200s", clock(s.now()-began), last)
	return nil
}

// end has all clients leave, and all nodes end.
func (s *soak) end() {
	if s.stop != nil {
		s.stop()
	}
	s.all.Wait()
	s.mu.Lock()
	failed := len(s.violations) > 0
	s.mu.Unlock()
	if !failed {
		s.afterwards()
	}
	for _, n := range s.nodes {
		if failed {
			n.kill()
		} else if err := n.drain(); err != nil {
			s.violate("%v", err)
		}
		n.proxy.Close()
	}
	_ = s.redis.stop(syscall.SIGKILL, patience) // its data is of no use any more
	if !failed {
		_ = os.RemoveAll(filepath.Join(s.dir, "appendonlydir")) // Redis's
	}
	s.api.server.Close()
	for _, g := range s.groups {
		g.hooks.server.Close()
		for _, text := range g.hooks.bad {
			s.violate("webhooks: %s", text)
		}
	}
}

// afterwards: nobody is left, and nodes have what they had before anybody came.
func (s *soak) afterwards() {
	if err := s.agree(); err != nil {
		s.violate("after all had gone: %v", err)
	}
	web.CloseIdleConnections()
	patient.CloseIdleConnections()
	s.api.server.CloseClientConnections()
	for _, g := range s.groups {
		g.hooks.server.CloseClientConnections()
	}
	for _, n := range s.nodes {
		err := eventually(func() error {
			is, err := n.scrape()
			if err != nil {
				return err
			}
			for _, name := range []string{metricGoroutines, metricFiles} {
				if was := s.idle[n].values[name]; is.values[name] > was+15 {
					return fmt.Errorf("node %s has %s of %v, and had %v before anybody came", n.name, name, is.values[name], was)
				}
			}
			return nil
		})
		if err != nil {
			s.violate("after all had gone: %v", err)
		}
	}
}

// tell says how it goes.
func (s *soak) tell(ctx context.Context) {
	for {
		if sleep(ctx, 30*time.Second); ctx.Err() != nil {
			return
		}
		connected, received, reconnects := 0, 0, 0
		for _, g := range s.groups {
			for _, c := range g.clients {
				c.mu.Lock()
				if c.conn != nil {
					connected++
				}
				received += c.received
				reconnects += c.lives
				c.mu.Unlock()
			}
		}
		s.journal.mu.Lock()
		events := len(s.journal.events)
		s.journal.mu.Unlock()
		s.mu.Lock()
		faults, violations := len(s.windows), len(s.violations)
		s.mu.Unlock()
		s.say("%d clients connected, %d connections so far; %d events published, %d received; %d faults; %d violations",
			connected, reconnects, events, received, faults, violations)
	}
}

func sleep(ctx context.Context, long time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(long):
	}
}
