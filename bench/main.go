// Command bench measures broadcastd as its clients see it, and tells whether
// that is what was demanded of it. It builds the daemon, starts it and a
// redis-server, and is their load: go run ./bench
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// scenario measures one thing, on a stack of its own.
type scenario struct {
	name  string
	about string
	run   func(context.Context, *bench) ([]figure, error)
}

// scenarios are run in this order.
var scenarios = append([]scenario{
	{"connect", "time from dial to connected", measureConnect},
	{"memory", "memory that a connection takes", measureMemory},
	{"rounds", "what is left after clients come and go", measureRounds},
	{"redis", "events published through Redis", measureRedis},
	{"http", "events published by signed HTTP requests", measureHTTP},
}, scenariosOfLinux...)

// bench is what scenarios run with.
type bench struct {
	dir    string // for what they build
	daemon string // the binary

	connections int           // of connect and memory
	duration    time.Duration // of each load
	subscribers int           // of a fan-out
	rounds      int
	perRound    int // connections
}

// sizes are those that the demands are about.
var sizes = bench{
	connections: 2000,
	duration:    5 * time.Second,
	subscribers: 1000,
	rounds:      10,
	perRound:    500,
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns 0, 1 if a demand isn't met or nothing could be measured, or 2 if
// args make no sense.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	b := sizes
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("scenario", "all", scenarioHelp())
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	flags.DurationVar(&b.duration, "duration", b.duration, "of each load of events")
	flags.IntVar(&b.connections, "connections", b.connections, "of the scenarios connect and memory")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	chosen, err := choose(*only)
	if err == nil && (flags.NArg() > 0 || b.duration <= 0 || b.connections <= 0) {
		err = errors.New("there are flags only, and both duration and connections are above 0")
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}

	r, err := b.measure(ctx, chosen, stderr)
	write := r.writeTable
	if *asJSON {
		write = r.writeJSON
	}
	if len(r.Figures) > 0 {
		err = errors.Join(err, write(stdout))
	}
	if n := r.unmet(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of the demands are not met", n))
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func scenarioHelp() string {
	help := "all, or some of these with commas between:"
	for _, s := range scenarios {
		help += fmt.Sprintf("\n%-8s %s", s.name, s.about)
	}
	return help
}

// choose returns the scenarios of a list of names.
func choose(list string) ([]scenario, error) {
	if list == "all" {
		return scenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q; --help lists them", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

// measure runs scenarios one after the other and stops at the first that fails;
// the report then holds those before it.
func (b *bench) measure(ctx context.Context, chosen []scenario, progress io.Writer) (report, error) {
	r := report{Machine: thisMachine()}
	var err error
	if b.dir, err = os.MkdirTemp("", "broadcastd-bench"); err != nil {
		return r, err
	}
	defer os.RemoveAll(b.dir)
	fmt.Fprintln(progress, "building the daemon")
	if b.daemon, err = build(ctx, b.dir, "broadcastd/cmd/broadcastd"); err != nil {
		return r, err
	}
	for _, s := range chosen {
		fmt.Fprintf(progress, "%s: %s\n", s.name, s.about)
		figures, err := s.run(ctx, b)
		if err != nil {
			return r, fmt.Errorf("scenario %s: %w", s.name, err)
		}
		for i := range figures {
			figures[i].Scenario = s.name
		}
		r.Figures = append(r.Figures, figures...)
	}
	return r, nil
}

// withStack runs a scenario's measurement against a daemon just started.
func (b *bench) withStack(ctx context.Context, measure func(*stack) ([]figure, error)) ([]figure, error) {
	s, err := startStack(ctx, b.daemon)
	if err != nil {
		return nil, err
	}
	figures, err := measure(s)
	return figures, errors.Join(err, s.stop())
}
