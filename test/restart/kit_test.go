// Package restart_test restarts daemons under clients who stay, and counts what these
// missed.
package restart_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	appID  = "app"
	key    = "key"
	secret = "secret"
	prefix = "p-"
	// patience is for what takes seconds, on a machine that is busy.
	patience = 60 * time.Second
)

// binary is the path of the daemon, built for these tests.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "broadcastd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "broadcastd")
	build := exec.Command("go", "build", "-o", binary, "broadcastd/cmd/broadcastd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the daemon: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// eventually waits until is has no error any more.
func eventually(t testing.TB, what string, is func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, in vain: %v", what, err)
		}
	}
}

// settings are a configuration file; those of all tests stand before.
func settings(t testing.TB, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, text)
	return file
}

func write(t testing.TB, file, text string) {
	t.Helper()
	text = "host: 127.0.0.1\nport: 0\nadmin: {listen: \"127.0.0.1:0\"}\n" + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// daemon is a process.
type daemon struct {
	t           testing.TB
	cmd         *exec.Cmd
	exited      chan struct{}
	addr, admin string
	log         *logBuffer
}

var listening = regexp.MustCompile(`msg=listening address=(\S+) .*admin=(\S+)`)

// start runs a daemon and waits until it listens. It ends with the test. Sockets are
// passed to it as systemd does.
func start(t testing.TB, file string, env []string, sockets []*net.TCPListener, args ...string) *daemon {
	t.Helper()
	args = append([]string{"start", "--config", file}, args...)
	d := &daemon{t: t, exited: make(chan struct{}), log: &logBuffer{}}
	// The process's own number is known once it runs.
	d.cmd = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary}, args...)...)
	d.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	for _, s := range sockets {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		d.cmd.ExtraFiles = append(d.cmd.ExtraFiles, f)
	}
	if len(sockets) > 0 {
		d.cmd.Env = append(d.cmd.Env, fmt.Sprint("LISTEN_FDS=", len(sockets)))
	}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	dieWithParent(d.cmd)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(d.exited); _ = d.cmd.Wait() }()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.exited
		if t.Failed() {
			t.Logf("the end of a daemon's log:\n%s", d.log.tail())
		}
	})
	eventually(t, "waiting for the daemon to listen", func() error {
		match := listening.FindStringSubmatch(d.log.String())
		if match == nil {
			return fmt.Errorf("it has logged %s", d.log.tail())
		}
		d.addr, d.admin = match[1], match[2]
		return nil
	})
	return d
}

// stop has the daemon end, and waits for it.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	<-d.exited
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("a daemon ended with %d", code)
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// logs waits until the daemon has logged something.
func (d *daemon) logs(text string) {
	d.t.Helper()
	eventually(d.t, "waiting for the log to say "+text, func() error {
		if !strings.Contains(d.log.String(), text) {
			return fmt.Errorf("it says %s", d.log.tail())
		}
		return nil
	})
}

// logBuffer keeps what a daemon logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) tail() string {
	text := b.String()
	return text[max(0, len(text)-4000):]
}
