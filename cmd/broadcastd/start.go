package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/protocol"
	"broadcastd/redisbridge"
)

func newStart(env []string) *cobra.Command {
	s := &settings{env: env}
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run the server",
		Long: `Run the server until SIGINT or SIGTERM.

The configuration is made of defaults, overridden by config.yaml, by the
environment (BROADCASTD_*, and Reverb's REVERB_* and REDIS_*), and by flags.
"broadcastd check" prints what comes out, and where each value is from. SIGHUP and
"broadcastd reload" have it read again.`,
		Example: `  broadcastd start --dev
  broadcastd start --env-file=/var/www/app/.env
  broadcastd start --config=/etc/broadcastd/config.yaml --port=8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := s.load(cmd)
			if err != nil {
				return err
			}
			again := func() (config.Config, error) {
				loaded, err := s.load(cmd)
				return loaded.Config, err
			}
			return start(cmd.Context(), loaded.Config, again, s.dev, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.addFlags(cmd)
	return cmd
}

// start runs the daemon until ctx ends. Its parts are made in order of
// dependency and end in reverse. load reads the configuration again.
func start(ctx context.Context, cfg config.Config, load func() (config.Config, error), dev bool, stdout, stderr io.Writer) error {
	hup, ignore := hangups()
	defer ignore()
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel())
	out, log := newLog(stderr, func(w io.Writer) *slog.Logger { return newLogger(cfg.Log.Format, level, w) })
	defer out.Close(logTime)
	public, admin, err := inherit()
	if err != nil {
		return err
	}
	if dev {
		stop, err := devRedis(ctx, &cfg, stdout)
		if err != nil {
			return err
		}
		defer stop()
		load = withRedis(load, cfg.Redis.URL)
	}

	limitMemory(memlimit.FromCgroup, log)
	registry := prometheus.NewRegistry()
	clu, err := newCluster(cfg, registry, log)
	if err != nil {
		return err
	}
	srv, err := server.New(server.Options{
		Config: cfg, Load: load, Log: log, LogLevel: level, Registry: registry, Version: versionText(),
		Public: public, Admin: admin, Cluster: clu.join(),
	})
	if err != nil {
		return err
	}
	defer srv.Close()
	watchLog(out, srv, registry)
	if err := clu.start(ctx, srv); err != nil {
		return err
	}
	defer clu.stop()
	bridge, err := newBridge(ctx, cfg, srv, registry, log)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel() // without listeners there is nothing left to do
		served <- srv.Serve()
	}()
	hearing, deafen := context.WithCancel(context.WithoutCancel(ctx))
	defer deafen()
	bridged := make(chan struct{})
	go func() {
		defer close(bridged)
		if bridge != nil {
			_ = bridge.Run(hearing) // ends with it, without an error
		}
	}()
	log.Info("listening", "address", srv.Addr().String(), "path", cfg.Path, "admin", at(srv.AdminAddr()), "version", versionText())
	if dev {
		printDevHelp(stdout, cfg, srv.Addr())
	}
	boss := supervisor{log}
	boss.ready()
	var watched sync.WaitGroup
	defer watched.Wait()
	watching, enough := context.WithCancel(context.WithoutCancel(ctx))
	defer enough()
	watched.Go(func() { boss.watchdog(watching) })

	for running := true; running; {
		select {
		case <-hup:
			boss.reloading()
			_, _ = srv.Reload() // it has logged what came of it
			boss.ready()
		case <-ctx.Done():
			running = false
		}
	}
	boss.stopping()
	within := srv.ShutdownTimeout()
	log.Info("shutting down", "within", within)
	bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer stop()
	began := time.Now()
	err = srv.Drain(bounded)
	// As long as clients are here they get what is published; what came in is
	// delivered before they are told to go.
	deafen()
	<-bridged
	if err := errors.Join(err, srv.Shutdown(bounded), clu.leave(bounded)); err != nil {
		log.Warn("shutdown was not clean", "err", err)
	}
	log.Info("stopped", "after", time.Since(began).Round(time.Millisecond))
	if err := <-served; err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// at is where a listener is, or nothing for none.
func at(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	return addr.String()
}

// newBridge makes what hears Laravel publish in Redis, or nil if nothing shall.
func newBridge(ctx context.Context, cfg config.Config, srv *server.Server, reg prometheus.Registerer, log *slog.Logger) (*redisbridge.Bridge, error) {
	if !cfg.HearsPublish() {
		if !cfg.ReadsLog() {
			log.Warn("no redis.url is configured: events come by HTTP only")
		}
		return nil, nil
	}
	bridge, err := redisbridge.New(redisbridge.Options{
		URL:     cfg.Redis.URL,
		Sources: redisSources(cfg),
		Publish: func(app string, e protocol.Event) error {
			return srv.Publish(server.SourceRedis, app, e)
		},
		MaxEventSize: srv.MaxEventSize,
		Log:          log.With("component", "redis"),
		Registerer:   reg,
	})
	if err != nil {
		return nil, err
	}
	if cfg.Redis.Required {
		if err := redisbridge.Ping(ctx, cfg.Redis.URL); err != nil {
			return nil, fmt.Errorf("redis.required is set, but Redis is away: %w", err)
		}
	}
	srv.AddCheck(server.Check{Name: "redis", Required: cfg.Redis.Required, Err: func() error {
		if state := bridge.State(); !state.Up {
			return fmt.Errorf("redis is away since %s: %s", state.Since.UTC().Format(time.RFC3339), state.Err)
		}
		return nil
	}})
	srv.AddCheck(server.Check{Name: "redis_patterns", Err: func() error {
		if state := bridge.State(); state.Up && state.Err != "" {
			return fmt.Errorf("redis refuses a part of the subscription: %s", state.Err)
		}
		return nil
	}})
	return bridge, nil
}

// redisSources says whose events come under which prefix.
func redisSources(cfg config.Config) []redisbridge.Source {
	var sources []redisbridge.Source
	if len(cfg.Redis.Sources) == 0 {
		for _, prefix := range cfg.Redis.Prefix {
			sources = append(sources, redisbridge.Source{Prefix: prefix, App: cfg.AllApps()[0].ID})
		}
		return sources
	}
	for _, s := range cfg.Redis.Sources {
		sources = append(sources, redisbridge.Source{Prefix: s.Prefix, App: s.App})
	}
	return sources
}

func newLogger(format string, level slog.Leveler, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		o.ReplaceAttr = readable
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// readable has durations as in text, such as 12s, where JSON would have nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
