package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"broadcastd/test/attack"
)

const (
	// attackRate is the events a second that the healthy clients get.
	attackRate = 50
	// few is how many attackers do all that they can; of others there are many.
	few = 4
	// siegeParts is how many loads an attack lasts.
	siegeParts = 3
)

// What the healthy clients are in. Attackers have signatures for it, too; events
// come on the first.
const (
	attacksChannel = "private-jobs"
	attacksRoom    = "presence-jobs"
)

// quickly has the daemon miss silent clients within an attack: app.ping_interval
// and app.pong_timeout.
var quickly = []string{"BROADCASTD_APP_PING_INTERVAL=5s", "BROADCASTD_APP_PONG_TIMEOUT=3s"}

// measureAttacks looks at healthy clients without each attack, and with it.
func measureAttacks(ctx context.Context, b *bench) ([]figure, error) {
	var figures []figure
	table := siegeHead
	for _, a := range attack.All() {
		if b.attack != nil && !b.attack.MatchString(a.Name) {
			continue
		}
		b.say("attack: %s", a.Name)
		env := quickly
		if a.Compression {
			env = append(slices.Clip(env), compressionEnv)
		}
		more, err := b.withStack(ctx, func(s *stack) ([]figure, error) {
			r, err := b.besiege(ctx, s, a)
			if err != nil {
				return nil, err
			}
			table += r.row()
			return r.figures(), nil
		}, env...)
		if err != nil {
			return figures, fmt.Errorf("%s: %w", a.Name, err)
		}
		figures = append(figures, more...)
	}
	if b.markdown != "" {
		return figures, os.WriteFile(b.markdown, []byte(table), 0o644)
	}
	return figures, nil
}

// siege is what became of an attack.
type siege struct {
	name            string
	attackers       int
	before, during  outcome
	cpu, cpuDuring  float64 // of the daemon, in percent of one core
	rss, peak, rest float64 // resident before, at most during it, and after it, in bytes
	left            float64 // goroutines and descriptors more than before
	got             attack.Got
}

func (b *bench) besiege(ctx context.Context, s *stack, a attack.Attack) (r siege, err error) {
	r.name, r.attackers = a.Name, few
	if a.Many {
		r.attackers = b.possible(b.attackers, 2)
	}
	healthy, err := gather(ctx, b.arrival(s, b.healthy,
		func(int) string { return attacksChannel }, func(int) string { return attacksRoom }))
	if err != nil {
		return r, err
	}
	defer healthy.disperse()
	l := load{attackRate, b.duration, eventSize, []string{attacksChannel}}
	publish := redisPublisher(s.client)
	if r.before, r.cpu, err = busy(s, func() (outcome, error) { return l.run(ctx, healthy, publish) }); err != nil {
		return r, err
	}
	quiet, err := s.settled(ctx, b.healthy)
	if err != nil {
		return r, err
	}
	if r.rss, err = s.daemon.restartPeak(); err != nil {
		return r, err
	}

	attackers, err := startAttackers(ctx, attackers{a.Name, r.attackers, attack.Target{
		Addr: s.addr, AppID: benchApp.ID, Key: benchApp.Key, Secret: benchApp.Secret, Channel: attacksChannel,
		Room: attacksRoom, MaxMessage: maxMessage, Stay: math.MaxInt, Spread: true,
	}})
	if err != nil {
		return r, err
	}
	r.during, r.cpuDuring, err = busy(s, func() (all outcome, err error) {
		for range siegeParts {
			o, err := l.run(ctx, healthy, publish)
			if err != nil {
				return all, err
			}
			all.merge(o)
		}
		return all, nil
	})
	got, gotErr := attackers.result()
	if err == nil {
		err = gotErr
	}
	if err != nil {
		return r, err
	}
	r.got = got
	if r.peak, err = s.daemon.peak(); err != nil {
		return r, err
	}
	return r, b.aftermath(ctx, s, quiet, &r)
}

// aftermath is what the daemon holds of an attack, once it has had the time to end
// what it had begun.
func (b *bench) aftermath(ctx context.Context, s *stack, quiet usage, r *siege) error {
	for end := time.Now().Add(patience); ; {
		after, err := s.settled(ctx, b.healthy)
		if err != nil {
			return err
		}
		r.rest = after.memory
		r.left = max(after.goroutines-quiet.goroutines, 0) + max(after.descriptors-quiet.descriptors, 0)
		if r.left <= maxAttackLeft || time.Now().After(end) {
			return nil
		}
	}
}

// busy is the processor time that the daemon takes meanwhile, in percent of one
// core.
func busy(s *stack, do func() (outcome, error)) (outcome, float64, error) {
	before, err := cpuTime(s.daemon.pid())
	if err != nil {
		return outcome{}, 0, err
	}
	start := time.Now()
	o, err := do()
	if err != nil {
		return o, 0, err
	}
	after, err := cpuTime(s.daemon.pid())
	return o, 100 * float64(after-before) / float64(time.Since(start)), err
}

// maxAttackLeft is what may be there after an attack and not before: connections
// between requests.
const maxAttackLeft = 8

func (r siege) figures() []figure {
	what := r.name + ": "
	return []figure{
		told(what+"p99 without it", milliseconds(r.before.latencies.percentile(99)), "ms"),
		told(what+"p99 with it", milliseconds(r.during.latencies.percentile(99)), "ms"),
		demanded(what+"lost, twice or out of order", float64(r.before.lost+r.during.lost+r.during.duplicated+r.during.unordered), "", atMost, 0),
		told(what+"processor time, of one core", r.cpuDuring, "%"),
		told(what+"resident memory more, at most", max(r.peak-r.rss, 0)/mib, "MiB"),
		demanded(what+"goroutines and descriptors left", r.left, "", atMost, maxAttackLeft),
	}
}

const siegeHead = `| attack | attackers | p50, ms | p99, ms | lost | CPU, % | memory, MiB | what they got |
|---|---|---|---|---|---|---|---|
`

// row shows values without and with the attack, and of memory what was left after
// it, too.
func (r siege) row() string {
	pair := func(p float64) string {
		return fmt.Sprintf("%s → %s", quantity(milliseconds(r.before.latencies.percentile(p)), ""), quantity(milliseconds(r.during.latencies.percentile(p)), ""))
	}
	return "| " + strings.Join([]string{
		r.name, count(r.attackers), pair(50), pair(99), count(r.before.lost + r.during.lost),
		fmt.Sprintf("%.0f → %.0f", r.cpu, r.cpuDuring),
		fmt.Sprintf("%.0f → %.0f → %.0f", r.rss/mib, r.peak/mib, r.rest/mib),
		r.got.String(),
	}, " | ") + " |\n"
}
