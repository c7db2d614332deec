package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// bench is what scenarios run with.
type bench struct {
	dir      string // for what they build
	daemon   string // the binary
	floor    string // as above, once it is needed
	progress io.Writer

	rounds      int           // of which figures are medians
	duration    time.Duration // of each load
	subscribers int           // of a fan-out
	slow        int           // how many of them stop reading
	slowSize    int           // of the events then, in bytes
	connections int           // of connect, memory, single, direct and stampede
	most        int           // of memory's last part
	rate        int           // events a second of single
	firstRate   int           // publishes a second that saturate begins with
	churnRounds int
	perRound    int // connections
	curve       sizes
	loops       int            // goroutines that read, for each crowd
	plot        string         // the file that curve draws to; empty: none
	healthy     int            // clients beside attackers
	attackers   int            // of attacks that need many
	attack      *regexp.Regexp // the names of those to measure; nil: all
	markdown    string         // the file that attacks writes its table to; empty: none
}

// demandedSizes are those that the demands are about.
var demandedSizes = bench{
	rounds:      5,
	duration:    4 * time.Second,
	subscribers: 1000,
	slow:        100,
	slowSize:    8000,
	connections: 10_000,
	most:        19_000,
	rate:        2000,
	firstRate:   80,
	churnRounds: 20,
	perRound:    5000,
	curve:       sizes{10, 100, 1000, 10_000},
	loops:       1,
	healthy:     300,
	attackers:   2000,
}

// measure runs scenarios one after the other. One that fails stops no other.
func (b *bench) measure(ctx context.Context, chosen []scenario) (report, error) {
	r := report{Machine: thisMachine()}
	var err error
	if b.dir, err = os.MkdirTemp("", "broadcastd-bench"); err != nil {
		return r, err
	}
	defer os.RemoveAll(b.dir)
	b.say("building the daemon")
	if b.daemon, err = build(ctx, b.dir, "broadcastd/cmd/broadcastd"); err != nil {
		return r, err
	}
	var failures []error
	for _, s := range chosen {
		b.say("%s: %s", s.name, s.about)
		figures, err := s.run(ctx, b)
		if err != nil {
			failures = append(failures, fmt.Errorf("scenario %s: %w", s.name, err))
		}
		for i := range figures {
			figures[i].Scenario = s.name
		}
		r.Figures = append(r.Figures, figures...)
		if ctx.Err() != nil {
			break
		}
	}
	return r, errors.Join(failures...)
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// withStack runs a scenario's measurement against a daemon just started, with
// env added to its environment.
func (b *bench) withStack(ctx context.Context, measure func(*stack) ([]figure, error), env ...string) ([]figure, error) {
	s, err := startStack(ctx, b.daemon, env...)
	if err != nil {
		return nil, err
	}
	figures, err := measure(s)
	return figures, errors.Join(err, s.stop())
}

// possible is n, or as many clients as the system lets this process have in
// each of some crowds at once.
func (b *bench) possible(n, crowds int) int {
	// spare is for all other files of the load and the daemon.
	const spare = 200
	most := (maxDescriptors() - spare) / crowds
	if n <= most {
		return n
	}
	b.say("the limit of open files (ulimit -n) is %d: %d clients rather than %d", maxDescriptors(), most, n)
	return most
}
