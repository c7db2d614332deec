package redisbridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"broadcastd/internal/nonblock"
	"broadcastd/internal/redisurl"
)

const (
	dialTimeout = 5 * time.Second
	ioTimeout   = 3 * time.Second // of the handshake's reads and of each write
	// reloadEvery is how long a client in use goes by what it knows of a Cluster,
	// since a master that is gone tells nobody who came after it.
	reloadEvery = time.Second
)

// go-redis prints to stderr through a logger that all its clients share. What
// it would say reaches this package as errors.
func init() { logging.Disable() }

// NewClient makes a client of the Redis at a URL: a single one, the master that
// Sentinels name, or a Cluster, as internal/redisurl says. It doesn't connect.
// What fails is not tried again, apart from a Cluster's, where a command may go
// to another node three times. Errors of the URL don't quote it.
func NewClient(url string, poolSize int) (redis.UniversalClient, error) {
	e, err := newEndpoint(url)
	if err != nil {
		return nil, fmt.Errorf("the Redis URL: %w", err)
	}
	e.PoolSize = poolSize
	if e.IsClusterMode {
		opt := e.Cluster()
		opt.ClusterStateReloadInterval = reloadEvery
		opt.DisableRoutingPolicies = true // a user may lack COMMAND, and keys tell the node
		return redis.NewClusterClient(opt), nil
	}
	return redis.NewUniversalClient(e.UniversalOptions), nil
}

// Address tells people which Redis a URL is for: hosts, ports and a master's name,
// no secrets. It is empty for what is no such URL.
func Address(url string) string {
	e, err := newEndpoint(url)
	if err != nil {
		return ""
	}
	return e.String()
}

// newEndpoint reads a URL that says which Redis, and adds how to connect to it.
func newEndpoint(url string) (*endpoint, error) {
	opt, err := redisurl.Parse(url)
	if err != nil {
		return nil, err
	}
	opt.Protocol = 2
	opt.DisableIdentity = true // a user may lack CLIENT
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	opt.ContextTimeoutEnabled = true
	config := opt.TLSConfig
	opt.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dial(ctx, config, network, addr)
	}
	return &endpoint{UniversalOptions: opt}, nil
}

func dial(ctx context.Context, config *tls.Config, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if config == nil {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return nonblock.New(conn), nil
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, addr)
}

// Ping tells whether the Redis at the URL answers, within a few seconds.
func Ping(ctx context.Context, url string) error {
	e, err := newEndpoint(url)
	if err != nil {
		return fmt.Errorf("redis.url: %w", err)
	}
	node, err := e.locate(ctx)
	if err != nil {
		return fmt.Errorf("redis at %s: %w", e, err)
	}
	client := redis.NewClient(node)
	defer func() { _ = client.Close() }()
	err = client.Ping(ctx).Err()
	if err == nil || redis.IsPermissionError(err) { // the user lacks PING, but is one
		return nil
	}
	return fmt.Errorf("redis at %s: %w", node.Addr, explain(err, ""))
}

// Answers tells whether there is a Redis at addr, host:port, be it one that
// wants a password.
func Answers(ctx context.Context, addr string) bool {
	err := Ping(ctx, "redis://"+addr)
	var refusal redis.Error
	return err == nil || errors.As(err, &refusal)
}

// explain adds to Redis's refusals what to do about them.
func explain(err error, pattern string) error {
	switch {
	case redis.IsAuthError(err):
		return fmt.Errorf("%w; check the user and the password in redis.url", err)
	case redis.IsPermissionError(err) && pattern != "":
		return fmt.Errorf("%w; allow it with ACL SETUSER <user> +psubscribe +ping '&%s'", err, pattern)
	}
	return err
}
