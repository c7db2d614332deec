package redisbridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// ErrBroken is what commands fail with, without having been sent, once the
// connection that [Server.Connect] made is no more.
var ErrBroken = errors.New("the connection to Redis is broken")

// Server is the one Redis that had a key when it was looked for.
type Server struct {
	endpoint *endpoint
	options  *redis.Options
}

// Locate finds the server that has a key: the only one, the master that Sentinels
// name, or the one of a Cluster, as its client, made by NewClient of the same URL,
// knows it.
func Locate(ctx context.Context, url string, client redis.UniversalClient, key string) (*Server, error) {
	e, err := newEndpoint(url)
	if err != nil {
		return nil, fmt.Errorf("the Redis URL: %w", err)
	}
	s := &Server{endpoint: e, options: e.Simple()}
	s.options.Addr = e.Addrs[0]
	switch cluster, ok := client.(*redis.ClusterClient); {
	case ok:
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		s.options.Addr = node.Options().Addr
	case e.MasterName != "":
		master, err := e.askSentinels(ctx)
		if err != nil {
			return nil, err
		}
		s.options.Addr = master.Addr
	}
	return s, nil
}

// Connect makes a client of a single connection, which lives until ctx ends and is
// never made anew: go-redis would do that without a word, and then speak with a
// server that was started again, or with another one, which may not know what this
// one has answered.
func (s *Server) Connect(ctx context.Context) (*redis.Client, error) {
	opt := *s.options
	opt.PoolSize = 1
	opt.ConnMaxIdleTime = -1
	opt.Dialer = dialOnce(ctx, s.options)
	client := redis.NewClient(&opt)
	if err := client.Ping(ctx).Err(); err != nil && !redis.IsPermissionError(err) {
		_ = client.Close() // the error is known
		return nil, err
	}
	return client, nil
}

// Replaced tells that Sentinels name another master; nil if they don't, can't be
// asked, or there are none.
func (s *Server) Replaced(ctx context.Context) error {
	if s.endpoint.MasterName == "" {
		return nil
	}
	return s.endpoint.misplaced(ctx, s.options)
}

// dialOnce is a dialer whose connection is cut when ctx ends, whatever it is
// waiting for, and which refuses to make a second one.
func dialOnce(ctx context.Context, opt *redis.Options) func(context.Context, string, string) (net.Conn, error) {
	var used atomic.Bool
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, ErrBroken
		}
		conn, err := opt.Dialer(ctx, network, addr)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
}
