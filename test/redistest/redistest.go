// Package redistest runs real redis-servers for a test, one, a Sentinel set or a
// Cluster, and lets the test kill, restart and freeze them.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is for what takes milliseconds, on a machine that is busy.
const patience = 20 * time.Second

// Server is a redis-server on a port of 127.0.0.1. Its methods are for the
// test's goroutine; they fail the test.
type Server struct {
	tb     testing.TB
	addr   string
	tls    string // the address for TLS, with TLSArgs
	args   []string
	dir    string
	cmd    *exec.Cmd // nil while it isn't running
	frozen bool
	output *bytes.Buffer
}

// Start runs a redis-server that keeps nothing on disk, with further arguments
// of redis-server such as "--requirepass", "secret". It ends with the test.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := Reserve(tb, args...)
	s.Restart()
	return s
}

// Reserve prepares a server that isn't running until Restart is called.
func Reserve(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Fatalf("redis-server is needed for this test (apt-get install redis-server, or brew install redis): %v", err)
	}
	s := &Server{tb: tb, addr: freeAddr(tb), args: args, dir: tb.TempDir()}
	if slices.Contains(args, tlsCertFile) {
		s.tls = freeAddr(tb)
		_, port, _ := net.SplitHostPort(s.tls)
		s.args = append(slices.Clone(args), "--tls-port", port)
	}
	tb.Cleanup(s.Kill)
	return s
}

// freeAddr is a free port of 127.0.0.1.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Addr is host:port.
func (s *Server) Addr() string { return s.addr }

// URL has no user and no password.
func (s *Server) URL() string { return "redis://" + s.addr }

// URLAs has a user and a password.
func (s *Server) URLAs(user, password string) string {
	return fmt.Sprintf("redis://%s:%s@%s", user, password, s.addr)
}

// Client is a client of the server, closed with the test. Without an option
// for them it has no user and no password.
func (s *Server) Client(options ...func(*redis.Options)) *redis.Client {
	opt := &redis.Options{Addr: s.addr, DisableIdentity: true}
	for _, set := range options {
		set(opt)
	}
	client := redis.NewClient(opt)
	s.tb.Cleanup(func() { _ = client.Close() })
	return client
}

// port is the number as text.
func (s *Server) port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

// Restart starts the server, on the port that it had, and waits until it
// answers. Nothing that it knew is left.
func (s *Server) Restart() {
	s.tb.Helper()
	s.run(append([]string{"--bind", "127.0.0.1", "--port", s.port(), "--dir", s.dir, "--save", "", "--appendonly", "no"}, s.args...))
}

// run starts the server anew, with these arguments.
func (s *Server) run(args []string) {
	s.tb.Helper()
	s.Kill()
	s.output = &bytes.Buffer{}
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		s.tb.Fatalf("redis-server: %v", err)
	}
	if err := s.ready(); err != nil {
		s.Kill()
		s.tb.Fatalf("redis-server on %s: %v\n%s", s.addr, err, s.output)
	}
}

// ready waits until the server answers, be it that it wants a password.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: s.addr, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = client.Close() }()
	for {
		err := client.Ping(ctx).Err()
		var refusal redis.Error
		if err == nil || errors.As(err, &refusal) {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Kill ends the server at once, frozen or not, as a crash would.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd, s.frozen = nil, false
}

// Freeze stops the server: its connections stay open and say nothing.
func (s *Server) Freeze() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	s.frozen = true
}

// Thaw ends Freeze.
func (s *Server) Thaw() {
	s.tb.Helper()
	s.signal(syscall.SIGCONT)
	s.frozen = false
}

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.cmd == nil {
		s.tb.Fatal("redis-server isn't running")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("redis-server: %v", err)
	}
}
