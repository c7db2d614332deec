package redistest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// group is some servers that work together.
type group []*Server

// running are those that were neither killed nor frozen.
func (g group) running() group {
	return slices.DeleteFunc(slices.Clone(g), func(s *Server) bool { return s.cmd == nil || s.frozen })
}

// at is the server with an address, or nil.
func (g group) at(addr string) *Server {
	i := slices.IndexFunc(g, func(s *Server) bool { return s.addr == addr })
	if i < 0 {
		return nil
	}
	return g[i]
}

// ask lets do talk to the server for a second, without its user's options.
func (s *Server) ask(do func(ctx context.Context, client *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	client := redis.NewClient(&redis.Options{
		Addr: s.addr, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		Protocol: 2,
	})
	defer func() { _ = client.Close() }()
	if err := do(ctx, client); err != nil {
		return fmt.Errorf("redis-server on %s: %w", s.addr, err)
	}
	return nil
}

// linked is an error unless the server is a replica that is up to date.
func (s *Server) linked() error {
	return s.ask(func(ctx context.Context, client *redis.Client) error {
		role, err := client.Do(ctx, "role").Slice()
		if err != nil {
			return err
		}
		if len(role) < 4 || role[3] != "connected" {
			return fmt.Errorf("it is no connected replica but %v", role)
		}
		return nil
	})
}

// until waits until reached has no error any more.
func until(tb testing.TB, what string, reached func() error) {
	tb.Helper()
	for deadline := time.Now().Add(3 * patience); ; time.Sleep(50 * time.Millisecond) {
		err := reached()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}
