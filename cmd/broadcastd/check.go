package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/redisbridge"
)

func newCheck(env []string) *cobra.Command {
	s := &settings{env: env}
	var listen time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration and print what is in effect",
		Long: `Validate the configuration, certificates included, and print what is in effect,
secrets masked, with where each value came from.

With --redis it also listens for that long to everything that is published in
Redis, and tells which channels came under which prefix: a wrong prefix is the
usual reason why no event arrives.`,
		Example: `  broadcastd check
  broadcastd check --env-file=.env --redis=30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := s.load(cmd)
			if loaded.From != nil { // readable, if not valid
				err = errors.Join(loaded.Print(cmd.OutOrStdout()), err)
			}
			if err == nil {
				err = server.CheckTLS(loaded.Config.TLS)
			}
			if err != nil {
				return err
			}
			if listen > 0 {
				return checkRedis(cmd.Context(), loaded.Config, listen, cmd.OutOrStdout())
			}
			return nil
		},
	}
	s.addFlags(cmd)
	cmd.Flags().DurationVar(&listen, "redis", 0, "listen to everything published in Redis for this long, such as 30s")
	return cmd
}

func checkRedis(ctx context.Context, cfg config.Config, listen time.Duration, out io.Writer) error {
	if cfg.Redis.URL == "" {
		return errors.New("--redis: no redis.url is configured (REDIS_HOST or REDIS_URL with --env-file)")
	}
	ctx, cancel := context.WithTimeout(ctx, listen)
	defer cancel()
	fmt.Fprintf(out, "\nListening to everything in Redis for %s; make the API broadcast something now.\n\n", listen)
	var seen redisbridge.Sightings
	err := redisbridge.Watch(ctx, cfg.Redis.URL, seen.Saw)
	if err != nil && ctx.Err() == nil {
		return err
	}
	summary := redisbridge.Summarise(seen.List(), redisSources(cfg))
	return summary.Print(out)
}
