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
	"syscall"
)

// scenario measures one thing, on a stack of its own.
type scenario struct {
	name  string
	about string
	run   func(context.Context, *bench) ([]figure, error)
}

// scenarios are run in this order.
var scenarios = []scenario{
	{"connect", "processor time and latency of coming clients", measureConnect},
	{"memory", "memory that a connection takes", measureMemory},
	{"churn", "what is left after clients come and go", measureChurn},
	{"redis", "events published through Redis", measureRedis},
	{"http", "events published by signed HTTP requests", measureHTTP},
	{"fanout", "processor time of a delivery, beside a bare write loop", measureFanOut},
	{"saturate", "most deliveries a second, beside a bare write loop", measureSaturation},
	{"single", "events for one subscriber each, through Redis and HTTP", measureSingle},
	{"direct", "messages to one user beside broadcasts to everybody", measureDirect},
	{"stampede", "clients that come at once, about whom a slow API is asked", measureStampede},
	{"slow", "clients that stop reading, and the others", measureSlow},
	{"attacks", "healthy clients while others attack", measureAttacks},
	{"deflate", "events with and without compression", measureDeflate},
	{"cluster", "what several nodes and their Redis cost, beside one by itself", measureCluster},
	{"curve", "processor time of a delivery against subscribers", measureCurve},
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns 0, 1 if a demand isn't met or nothing could be measured, or 2 if
// args make no sense.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	switch {
	case slices.Equal(args, []string{probeCommand}):
		return status(stderr, runProbe(ctx, os.Stdin, stdout))
	case slices.Equal(args, []string{attackCommand}):
		return status(stderr, runAttackers(ctx, os.Stdin, stdout))
	}
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	r, err := o.measure(ctx, o.chosen)
	write := r.writeTable
	if o.json {
		write = r.writeJSON
	}
	if len(r.Figures) > 0 {
		err = errors.Join(err, write(stdout))
	}
	if n := r.unmet(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of the demands are not met", n))
	}
	return status(stderr, err)
}

func status(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}
