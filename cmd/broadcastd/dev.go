package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"broadcastd/internal/config"
	"broadcastd/redisbridge"
)

const devRedisAddr = "127.0.0.1:6379"

// devRedis finds a Redis for --dev: the configured one, the one on this
// machine, or one inside this process.
func devRedis(ctx context.Context, cfg *config.Config, out io.Writer) (stop func(), err error) {
	switch {
	case cfg.Redis.URL != "":
		fmt.Fprintln(out, "Redis: the one that redis.url names.")
	case redisbridge.Answers(ctx, devRedisAddr):
		fmt.Fprintf(out, "Redis: the one that answers on %s.\n", devRedisAddr)
		cfg.Redis.URL = "redis://" + devRedisAddr
	default:
		url, stop, err := redisbridge.Embedded()
		if err != nil {
			return nil, fmt.Errorf("--dev: no Redis answers on %s, and none could be started there: %w", devRedisAddr, err)
		}
		fmt.Fprintf(out, "Redis: none answers on %s, so an embedded one runs there now. It forgets everything at the end.\n", devRedisAddr)
		cfg.Redis.URL = url
		return stop, nil
	}
	return func() {}, nil
}

// withRedis has a configuration that is read again name the Redis that was found.
func withRedis(load func() (config.Config, error), url string) func() (config.Config, error) {
	return func() (config.Config, error) {
		cfg, err := load()
		cfg.Redis.URL = url
		return cfg, err
	}
}

// printDevHelp says what to paste where.
func printDevHelp(out io.Writer, cfg config.Config, addr net.Addr) {
	app := cfg.AllApps()[0]
	_, port, _ := net.SplitHostPort(addr.String())
	secret := "(the one that is configured)"
	if app.Secret == config.DevSecret {
		secret = app.Secret
	}
	prefix := ""
	if sources := redisSources(cfg); len(sources) > 0 {
		prefix = sources[0].Prefix
	}
	scheme, force := "http", "forceTLS: false"
	if cfg.TLS.Cert != "" {
		scheme, force = "https", "wssPort: "+port+", forceTLS: true"
	}
	fmt.Fprintf(out, `
broadcastd runs in development mode on %[7]s://127.0.0.1:%[1]s%[5]s

Laravel's .env (the redis connection needs an entry in config/broadcasting.php,
see docs/laravel.md; BROADCAST_CONNECTION=reverb works as it is):

    BROADCAST_CONNECTION=redis
    REDIS_HOST=127.0.0.1
    REVERB_APP_ID=%[2]s
    REVERB_APP_KEY=%[3]s
    REVERB_APP_SECRET=%[4]s
    REVERB_HOST=127.0.0.1
    REVERB_PORT=%[1]s
    REVERB_SCHEME=%[7]s

Echo:

    import Echo from 'laravel-echo'
    import Pusher from 'pusher-js'
    window.Pusher = Pusher
    const echo = new Echo({
      broadcaster: 'reverb', key: '%[3]s',
      wsHost: '127.0.0.1', wsPort: %[1]s, wsPath: '%[5]s', %[8]s, enabledTransports: ['ws'],
    })
    echo.channel('jobs.discovery').listen('.job.posted', e => console.log(e))

Send it an event:

    redis-cli publish %[6]sjobs.discovery '{"event":"job.posted","data":{"id":1},"socket":null}'

`, port, app.ID, app.Key, secret, cfg.Path, prefix, scheme, force)
}
