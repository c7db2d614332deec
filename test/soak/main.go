// Command soak runs nodes under mixed load for as long as asked, makes things go
// wrong as a seed says, and compares what clients, publishers, webhooks and metrics
// tell with what must be so: go run ./test/soak --for 20m --seed 1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line says.
type options struct {
	long    time.Duration
	seed    uint64
	clients int
	rate    int    // events a second, of all publishers
	daemon  string // path; empty: it is built
	dir     string // for logs; empty: a new one
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&o.long, "for", time.Hour, "how long")
	f.Uint64Var(&o.seed, "seed", 1, "decides what goes wrong, and when")
	f.IntVar(&o.clients, "clients", 300, "how many; a third is with the node by itself")
	f.IntVar(&o.rate, "rate", 45, "events a second that are published, whispers not counted")
	f.StringVar(&o.daemon, "daemon", "", "a `file` to run; built otherwise")
	f.StringVar(&o.dir, "dir", "", "a `folder` for logs; a new temporary one otherwise")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("there are flags only; what is %q?", f.Arg(0))
	case o.long <= 0 || o.clients < 10 || o.rate < len(publishers):
		return o, fmt.Errorf("--for must be above 0, --clients at least 10, --rate at least %d", len(publishers))
	}
	return o, nil
}

// run returns 0, 1 if something was violated or couldn't be run, or 2 if args make
// no sense.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "soak:", err)
		return 2
	}
	s, err := start(o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "soak:", err)
		return 1
	}
	s.run(ctx)
	s.end()
	v := s.judge()
	fmt.Fprint(stdout, s.report(v))
	if len(v.violations) > 0 {
		fmt.Fprintf(stderr, "soak: %d violations; logs are in %s\n", len(v.violations), s.dir)
		return 1
	}
	return 0
}
