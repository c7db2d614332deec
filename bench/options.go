package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// options are what the command line says.
type options struct {
	bench
	chosen []scenario
	json   bool
}

// parseOptions reads the command line. stderr gets help, and tells of progress
// later.
func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{bench: demandedSizes}
	o.progress = stderr
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	only := f.String("scenario", "all", scenarioHelp())
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	f.StringVar(&o.plot, "plot", "", "write the curve as SVG to this `file`")
	f.StringVar(&o.markdown, "markdown", "", "write the table of attacks as Markdown to this `file`")
	f.Func("attack", "measure only attacks whose names match this `regexp`", func(text string) (err error) {
		o.attack, err = regexp.Compile(text)
		return err
	})
	f.DurationVar(&o.duration, "duration", o.duration, "of each load of events")
	f.Var(&o.curve, "curve", "the numbers of subscribers of curve")
	positive := map[string]*int{}
	whole := func(p *int, name, usage string) {
		f.IntVar(p, name, *p, usage)
		positive[name] = p
	}
	whole(&o.rounds, "rounds", "of which figures are medians")
	whole(&o.subscribers, "subscribers", "of a fan-out")
	whole(&o.slow, "slow", "how many of them stop reading, in slow")
	whole(&o.slowSize, "slow-size", "bytes of an event, in slow")
	whole(&o.connections, "connections", "clients of connect, memory, single, direct and stampede")
	whole(&o.most, "most", "clients of the last part of memory")
	whole(&o.rate, "rate", "events a second of single, and of memory's last part")
	whole(&o.firstRate, "first-rate", "publishes a second that saturate begins with")
	whole(&o.healthy, "healthy", "clients beside attackers")
	whole(&o.attackers, "attackers", "of attacks that need many; of others there are 4")
	whole(&o.churnRounds, "churn-rounds", "how often the clients of churn come and go")
	whole(&o.perRound, "per-round", "clients of churn that come and go together")
	whole(&o.loops, "loops", "threads that read for each crowd of clients")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	for name, value := range positive {
		if *value <= 0 {
			return nil, fmt.Errorf("--%s must be above 0", name)
		}
	}
	var err error
	switch o.chosen, err = choose(*only); {
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		return nil, fmt.Errorf("there are flags only; what is %q?", f.Arg(0))
	case o.duration <= 0:
		return nil, errors.New("--duration must be above 0")
	case o.slowSize < minSize || o.slowSize > maxEventSize:
		return nil, fmt.Errorf("--slow-size must be from %d to %d", minSize, maxEventSize)
	case o.slow >= o.subscribers:
		return nil, errors.New("--slow must be below --subscribers")
	case o.churnRounds < 2:
		return nil, errors.New("--churn-rounds must be above 1")
	}
	return o, nil
}

func scenarioHelp() string {
	help := "all, or some of these `names` with commas between:"
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

// sizes is a flag of numbers with commas between.
type sizes []int

func (s *sizes) String() string {
	texts := make([]string, len(*s))
	for i, n := range *s {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ",")
}

// Set replaces all of them.
func (s *sizes) Set(list string) error {
	*s = nil
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is not a number above 0", text)
		}
		*s = append(*s, n)
	}
	return nil
}
