// Command broadcastd delivers an API's events to Laravel Echo and pusher-js
// clients.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"broadcastd/internal/logqueue"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run is the whole process but for its exit. Signals become a context here, or a
// channel in hangups, and nowhere else.
func run(args, env []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends at once
	root := newRoot(env)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		out := logqueue.New(stderr, func(int64, error) {}) // nobody may read it
		fmt.Fprintln(out, "broadcastd:", err)
		out.Close(logTime)
		return 1
	}
	return 0
}

// hangups gives SIGHUP, which would end a process that doesn't ask for it, until
// stop.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
