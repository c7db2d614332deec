package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"
)

// build compiles a package of this module into dir and returns the binary's
// path, which is the package's last name.
func build(ctx context.Context, dir, pkg string) (string, error) {
	binary := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", pkg, err, output)
	}
	return binary, nil
}

// stack is a daemon and the Redis that it listens to, both processes of their
// own. Each scenario has its own, so that none finds what another left.
type stack struct {
	daemon *process
	redis  *process
	client *redis.Client // of redis
	addr   string        // of the daemon, for clients and the HTTP API
	admin  string        // for metrics and health
}

// startStack returns once the daemon hears what is published. env adds to the
// daemon's environment. stop ends it.
func startStack(ctx context.Context, binary string, env ...string) (_ *stack, err error) {
	s := &stack{}
	defer func() {
		if err != nil {
			_ = s.stop() // why it didn't start is what counts
		}
	}()
	dir, err := os.MkdirTemp(filepath.Dir(binary), "run")
	if err != nil {
		return nil, err
	}
	if err := s.startRedis(ctx, dir); err != nil {
		return nil, err
	}
	return s, s.startDaemon(ctx, dir, binary, s.url(), env)
}

func (s *stack) startRedis(ctx context.Context, dir string) error {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is needed (apt-get install redis-server, or brew install redis): %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	_ = l.Close() // it was only there to find a free port
	_, port, _ := net.SplitHostPort(addr)
	s.redis, err = startProcess(ctx, dir, nil, binary, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no")
	if err != nil {
		return err
	}
	s.client = redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, MaxRetries: -1})
	return s.redis.until(ctx, func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// url is where the stack's Redis is.
func (s *stack) url() string { return "redis://" + s.client.Options().Addr }

func (s *stack) startDaemon(ctx context.Context, dir, binary, redisURL string, env []string) error {
	env = append([]string{
		"BROADCASTD_HOST=127.0.0.1", "BROADCASTD_PORT=0", "BROADCASTD_ADMIN_LISTEN=127.0.0.1:0",
		"BROADCASTD_APP_ID=" + benchApp.ID, "BROADCASTD_APP_KEY=" + benchApp.Key, "BROADCASTD_APP_SECRET=" + benchApp.Secret,
		"BROADCASTD_REDIS_URL=" + redisURL, "BROADCASTD_REDIS_PREFIX=" + redisPrefix,
		"BROADCASTD_REDIS_REQUIRED=true", // readiness then waits for the subscription
		"BROADCASTD_LOG_FORMAT=json",
	}, env...)
	var err error
	if s.daemon, err = startProcess(ctx, dir, env, binary, "start"); err != nil {
		return err
	}
	return s.daemon.until(ctx, s.ready)
}

// ready learns the daemon's ports from its log and asks it.
func (s *stack) ready(ctx context.Context) error {
	if s.admin == "" {
		var err error
		if s.addr, s.admin, err = listening(readFile(s.daemon.log)); err != nil {
			return err
		}
	}
	response, err := s.get(ctx, "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", response.Status)
	}
	return nil
}

// listening finds in a log in JSON on which ports the daemon listens.
func listening(log string) (addr, admin string, err error) {
	for line := range strings.Lines(log) {
		var entry struct{ Msg, Address, Admin string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
			return entry.Address, entry.Admin, nil
		}
	}
	return "", "", errors.New("the log doesn't tell yet where it listens")
}

// get asks the daemon's listener for metrics and health. The caller closes the
// body.
func (s *stack) get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}

// stop ends both. A daemon that doesn't end well is an error.
func (s *stack) stop() error {
	var err error
	if s.daemon != nil {
		err = s.daemon.stop()
	}
	if s.client != nil {
		err = errors.Join(err, s.client.Close())
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.stop())
	}
	return err
}
