package main

import (
	"context"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// redisServer keeps its data when it is restarted. What it has answered is written
// to its file first, so it survives SIGKILL, if not the end of the machine.
type redisServer struct {
	*process
	addr   string
	client *redis.Client
}

func startRedis(dir string) (*redisServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	redis.SetLogger(quietly{}) // that it is away is no news
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	r := &redisServer{addr: addr, process: newProcess(dir, "redis", "redis-server", "--bind", "127.0.0.1", "--port", port,
		"--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction")}
	// What isn't sent again can't come twice.
	r.client = redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, MaxRetries: -1, ContextTimeoutEnabled: true})
	return r, r.start()
}

// quietly is a logger that isn't one.
type quietly struct{}

func (quietly) Printf(context.Context, string, ...any) {}

func (r *redisServer) start() error {
	return r.process.start(func() error { return r.client.Ping(context.Background()).Err() })
}

func (r *redisServer) freeze() { r.signal(syscall.SIGSTOP) }
func (r *redisServer) thaw()   { r.signal(syscall.SIGCONT) }
