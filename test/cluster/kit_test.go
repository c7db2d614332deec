// Package cluster_test runs several daemons as processes, with real Redis, and
// kills, freezes and cuts them off.
package cluster_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
	// lease is short, so that a test sees it run out.
	lease = 2 * time.Second
	// patience is for what takes some leases, on a machine that is busy.
	patience = 60 * time.Second
)

// daemon is the path of the daemon, built for these tests.
var daemon string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "broadcastd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	daemon = filepath.Join(dir, "broadcastd")
	build := exec.Command("go", "build", "-o", daemon, "broadcastd/cmd/broadcastd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the daemon: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// eventually waits until is has no error any more.
func eventually(t testing.TB, what string, is func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, in vain: %v", what, err)
		}
	}
}

// nodeOptions are what differs between tests. The zero value is one partition, no
// webhooks, and Redis without a user.
type nodeOptions struct {
	redis      string // URL
	partitions int
	hooks      string // URL; empty: none
}

// node is a daemon. Its methods are for the test's goroutine, but for those that
// ask it something.
type node struct {
	t      testing.TB
	name   string
	config string // file

	cmd    *exec.Cmd // nil while it isn't running
	exited chan struct{}
	frozen bool

	mu          sync.Mutex // guards the following
	addr, admin string
	log         *logBuffer
	runs        int // how often it was started
}

// newNode starts a daemon; it ends with the test.
func newNode(t testing.TB, name string, o nodeOptions) *node {
	t.Helper()
	n := &node{t: t, name: name, config: filepath.Join(t.TempDir(), "config.yaml"), log: &logBuffer{}}
	n.configure(o)
	n.start()
	t.Cleanup(func() {
		n.kill()
		if t.Failed() {
			t.Logf("the end of the log of node %s:\n%s", name, n.log.tail())
		}
	})
	return n
}

// configure writes the configuration that the next start reads.
func (n *node) configure(o nodeOptions) {
	n.t.Helper()
	hooks := "[]"
	if o.hooks != "" {
		hooks = fmt.Sprintf("[{url: %q}]", o.hooks)
	}
	text := fmt.Sprintf(`
host: 127.0.0.1
port: 0
shutdown_timeout: 20s
admin: {listen: "127.0.0.1:0"}
scaling: {enabled: true, redis: %q, partitions: %d, lease: %s, node: %s}
app: {id: %s, key: %s, secret: %s, subscription_count: true, max_client_events_per_second: 0, webhooks: %s}
`, o.redis, cmp.Or(o.partitions, 1), lease, n.name, appID, key, secret, hooks)
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

var listening = regexp.MustCompile(`msg=listening address=(\S+) .*admin=(\S+)`)

// start runs the daemon and waits until it listens, at another address than before.
func (n *node) start() {
	n.t.Helper()
	began := n.log.size()
	n.cmd = exec.Command(daemon, "start", "--config", n.config)
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	n.cmd.Env = []string{}
	dieWithParent(n.cmd)
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	exited := make(chan struct{})
	n.exited = exited
	go func(cmd *exec.Cmd) { defer close(exited); _ = cmd.Wait() }(n.cmd)
	eventually(n.t, "waiting for node "+n.name+" to listen", func() error {
		match := listening.FindStringSubmatch(n.log.from(began))
		if match == nil {
			return fmt.Errorf("it has logged %s", n.log.tail())
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.addr, n.admin = match[1], match[2]
		n.runs++
		return nil
	})
}

// kill ends the daemon at once, as a crash would.
func (n *node) kill() {
	if n.cmd != nil {
		_ = n.cmd.Process.Kill()
		<-n.exited
		n.cmd, n.frozen = nil, false
	}
}

// stop has the daemon end in order.
func (n *node) stop() {
	n.t.Helper()
	n.signal(syscall.SIGTERM)
	<-n.exited
	n.cmd = nil
}

func (n *node) freeze() { n.signal(syscall.SIGSTOP); n.frozen = true }
func (n *node) thaw()   { n.signal(syscall.SIGCONT); n.frozen = false }

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("node %s: %v", n.name, err)
	}
}

// at is where clients find the node now, and run which of its runs that is.
func (n *node) at() (addr, admin string, run int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr, n.admin, n.runs
}

// readiness is what /readyz answers.
func (n *node) readiness() (string, error) {
	_, admin, _ := n.at()
	return get("http://" + admin + "/readyz")
}

// logged reports whether the node has said something.
func (n *node) logged(text string) bool { return strings.Contains(n.log.from(0), text) }

// metrics are the node's, by name with labels.
func (n *node) metrics() (map[string]float64, error) {
	_, admin, _ := n.at()
	text, err := get("http://" + admin + "/metrics")
	if err != nil {
		return nil, err
	}
	all := make(map[string]float64)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if f, err := strconv.ParseFloat(value, 64); err == nil && name != "#" {
			all[name] = f
		}
	}
	return all, nil
}

// sum is that of a metric over all labels.
func sum(metrics map[string]float64, name string) (total float64) {
	for full, value := range metrics {
		if bare, _, _ := strings.Cut(full, "{"); bare == name {
			total += value
		}
	}
	return total
}

// web asks nodes, which may be frozen.
var web = &http.Client{Timeout: 5 * time.Second}

func get(url string) (string, error) {
	res, err := web.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
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

func (b *logBuffer) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Len()
}

// from is what was logged after the log had a size.
func (b *logBuffer) from(size int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text.Bytes()[size:])
}

// tail is the last of it.
func (b *logBuffer) tail() string {
	text := b.from(0)
	return text[max(0, len(text)-8000):]
}
