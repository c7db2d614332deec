// Command jobs is a job marketplace in small, as a user of broadcastd would
// build it: an HTTP API that publishes its events into Redis the way Laravel
// does, and a web page that hears them over laravel-echo and pusher-js.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "jobs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("jobs", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8000", "`host:port` of the API and the page")
	redisURL := flags.String("redis", "redis://127.0.0.1:6379", "`URL` of the Redis to publish into; unix:///path for a socket")
	prefix := flags.String("prefix", "laravel-database-", "goes in front of every channel, as Laravel's redis.options.prefix")
	wsURL := flags.String("ws-url", "http://127.0.0.1:8080", "`URL` of broadcastd as browsers reach it")
	key := flags.String("key", "app-key", "the app's key at broadcastd")
	modules := flags.String("modules", "examples/jobs/web/node_modules", "`directory` with laravel-echo and pusher-js")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options, err := redis.ParseURL(*redisURL)
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	client := redis.NewClient(options)
	defer client.Close()

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	mux := http.NewServeMux()
	api := &API{
		Log: log, Users: Users, Market: DemoMarket(),
		Broadcaster: &Broadcaster{Redis: client, Prefix: *prefix},
	}
	api.Register(mux)
	page := &Page{Users: Users, Modules: *modules, Key: *key, URL: *wsURL}
	if err := page.Register(mux); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	fmt.Printf("Jobs is at http://%s\n", listener.Addr())
	return serve(ctx, listener, mux)
}

// serve answers requests until ctx ends, and then those under way.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(bounded)
}
