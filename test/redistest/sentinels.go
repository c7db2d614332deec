package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// masterName is what the Sentinels call the master.
const masterName = "main"

// Sentinels are a master, two replicas, and three Sentinels that make a replica
// the master within seconds when that is gone. Methods are for the test's
// goroutine; they fail the test.
type Sentinels struct {
	tb        testing.TB
	servers   group
	sentinels group
}

// StartSentinels starts them, with further arguments for the master and the
// replicas that leave the default user as it is, such as "--user". They end
// with the test.
func StartSentinels(tb testing.TB, args ...string) *Sentinels {
	tb.Helper()
	s := &Sentinels{tb: tb}
	for i := range 3 {
		args := append([]string{"--repl-diskless-sync-delay", "0"}, args...)
		if i > 0 {
			args = append(args, "--replicaof", "127.0.0.1", s.servers[0].port())
		}
		s.servers = append(s.servers, Start(tb, args...))
	}
	for range 3 {
		s.sentinels = append(s.sentinels, startSentinel(tb, s.servers[0]))
	}
	s.WaitReady()
	return s
}

// startSentinel starts a Sentinel, which keeps what it knows in a file.
func startSentinel(tb testing.TB, master *Server) *Server {
	tb.Helper()
	sentinel := Reserve(tb)
	file := filepath.Join(sentinel.dir, "sentinel.conf")
	text := fmt.Sprintf(`bind 127.0.0.1
port %[1]s
dir %[2]s
sentinel monitor %[3]s 127.0.0.1 %[4]s 2
sentinel down-after-milliseconds %[3]s 1000
sentinel failover-timeout %[3]s 3000
`, sentinel.port(), sentinel.dir, masterName, master.port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	sentinel.run([]string{file, "--sentinel"})
	return sentinel
}

// URL names all Sentinels.
func (s *Sentinels) URL() string {
	var others strings.Builder
	for _, sentinel := range s.sentinels[1:] {
		others.WriteString("&addr=" + sentinel.addr)
	}
	return "redis://" + s.sentinels[0].addr + "?master_name=" + masterName + others.String()
}

// Master is the one that the first running Sentinel names.
func (s *Sentinels) Master() *Server {
	s.tb.Helper()
	running := s.sentinels.running()
	if len(running) == 0 {
		s.tb.Fatal("no Sentinel is running")
	}
	addr, err := running[0].master()
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.servers.at(addr)
}

// master is the address that a Sentinel names.
func (s *Server) master() (addr string, err error) {
	err = s.ask(func(ctx context.Context, client *redis.Client) error {
		pair, err := client.Do(ctx, "sentinel", "get-master-addr-by-name", masterName).StringSlice()
		if err == nil {
			addr = net.JoinHostPort(pair[0], pair[1])
		}
		return err
	})
	return addr, err
}

// Replicas are those that run and aren't the master.
func (s *Sentinels) Replicas() (replicas []*Server) {
	s.tb.Helper()
	master := s.Master()
	for _, server := range s.servers.running() {
		if server != master {
			replicas = append(replicas, server)
		}
	}
	return replicas
}

// KillMaster kills the master and returns it, for Restart.
func (s *Sentinels) KillMaster() *Server {
	s.tb.Helper()
	master := s.Master()
	master.Kill()
	return master
}

// FreezeMaster freezes the master and returns it, for Thaw.
func (s *Sentinels) FreezeMaster() *Server {
	s.tb.Helper()
	master := s.Master()
	master.Freeze()
	return master
}

// Sentinel is one of the three Sentinels.
func (s *Sentinels) Sentinel(i int) *Server { return s.sentinels[i] }

// WaitReady waits until the Sentinels that run know each other and name the
// same running master, and the other running servers are its replicas.
func (s *Sentinels) WaitReady() {
	s.tb.Helper()
	until(s.tb, "Sentinels and replicas", s.ready)
}

func (s *Sentinels) ready() error {
	named := ""
	for _, sentinel := range s.sentinels.running() {
		addr, err := sentinel.knows(len(s.sentinels.running())-1, len(s.servers.running())-1)
		if err != nil {
			return err
		}
		if named != "" && addr != named {
			return fmt.Errorf("the master is %s, and %s", named, addr)
		}
		named = addr
	}
	for _, server := range s.servers.running() {
		check := server.linked
		if server.addr == named {
			check = server.isMaster
		}
		if err := check(); err != nil {
			return err
		}
	}
	if s.servers.running().at(named) == nil {
		return fmt.Errorf("the master is still %s, which doesn't run", named)
	}
	return nil
}

// knows gives the master's address once the Sentinel knows so many others, and
// so many replicas.
func (s *Server) knows(sentinels, replicas int) (master string, err error) {
	err = s.ask(func(ctx context.Context, client *redis.Client) error {
		pairs, err := client.Do(ctx, "sentinel", "master", masterName).StringSlice()
		if err != nil {
			return err
		}
		about := map[string]string{}
		for i := 0; i+1 < len(pairs); i += 2 {
			about[pairs[i]] = pairs[i+1]
		}
		master = net.JoinHostPort(about["ip"], about["port"])
		var others, copies int
		_, _ = fmt.Sscan(about["num-other-sentinels"], &others)
		_, _ = fmt.Sscan(about["num-slaves"], &copies)
		if others < sentinels || copies < replicas {
			return fmt.Errorf("it knows %d Sentinels and %d replicas", others, copies)
		}
		return nil
	})
	return master, err
}

func (s *Server) isMaster() error {
	return s.ask(func(ctx context.Context, client *redis.Client) error {
		role, err := client.Do(ctx, "role").Slice()
		if err == nil && role[0] != "master" {
			err = fmt.Errorf("it is no master but %v", role)
		}
		return err
	})
}
