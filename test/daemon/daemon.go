// Package daemon runs the daemon as a process for a test, which may freeze and kill
// it, and reads what an operator would: its log, its metrics and its readiness.
package daemon

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
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

	"broadcastd/auth"
)

// The app that every daemon has.
const (
	AppID  = "app"
	Key    = "key"
	Secret = "secret-0123456789"
)

// patience is for what takes seconds, on a machine that is busy.
const patience = 60 * time.Second

// binary is the path of the daemon, built by Main.
var binary string

// Main builds the daemon, runs the tests, and gives the exit code.
func Main(m *testing.M) int {
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

// Options are what differs between tests.
type Options struct {
	Binary string // another than the one built by Main
	// Config is YAML: further keys, and what is to stand in app besides its id.
	Config, App string
	Env         []string
	// Descriptors limits how many the process may have; 0: as the machine has it.
	Descriptors int
	// Stderr takes the log in the test's place, which then names the Ports.
	Stderr *os.File
	Ports  [2]int // for clients and for the admin; 0: any
}

// Daemon is a process. Its methods are for the test's goroutine, unless they say
// otherwise; they fail the test.
type Daemon struct {
	Addr, Admin string // where clients and the operator find it
	Log         *Log   // empty if the test takes it

	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{}
}

var listening = regexp.MustCompile(`msg=listening address=(\S+) .*admin=(\S+)`)

// Start runs a daemon and waits until it listens. It ends with the test.
func Start(t testing.TB, o Options) *Daemon {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("host: 127.0.0.1\nport: %d\nadmin: {listen: \"127.0.0.1:%d\"}\n%s\napp:\n  {id: %s, key: %s, secret: %s, %s}\n",
		o.Ports[0], o.Ports[1], o.Config, AppID, Key, Secret, o.App)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{t: t, Log: &Log{}, exited: make(chan struct{})}
	path := cmp.Or(o.Binary, binary)
	d.cmd = exec.Command(path, "start", "--config", config)
	if o.Descriptors > 0 {
		d.cmd = exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, o.Descriptors), path, "start", "--config", config)
	}
	d.cmd.Env = o.Env
	d.cmd.Stdout, d.cmd.Stderr = d.Log, d.Log
	if o.Stderr != nil {
		d.cmd.Stderr = o.Stderr
	}
	dieWithParent(d.cmd)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(d.exited); _ = d.cmd.Wait() }()
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("the end of the daemon's log:\n%s", d.Log.tail())
		}
	})
	if o.Stderr != nil {
		d.Addr, d.Admin = addr(o.Ports[0]), addr(o.Ports[1])
		Eventually(t, "the daemon answers", func() error { _, _, err := d.Readiness(); return err })
		return d
	}
	Eventually(t, "the daemon listens", func() error {
		match := listening.FindStringSubmatch(d.Log.String())
		if match == nil {
			return fmt.Errorf("it has logged %s", d.Log.tail())
		}
		d.Addr, d.Admin = match[1], match[2]
		return nil
	})
	return d
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// FreePorts are two that nobody had a moment ago.
func FreePorts(t testing.TB) (ports [2]int) {
	t.Helper()
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// Kill ends the daemon at once, frozen or not, as a crash would.
func (d *Daemon) Kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	<-d.exited
}

// Stop has the daemon end in order, and tells whether it did.
func (d *Daemon) Stop() error {
	d.t.Helper()
	d.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(patience):
		return fmt.Errorf("it still runs after %s", patience)
	}
	if state := d.cmd.ProcessState; !state.Success() {
		return fmt.Errorf("it ended with %s", state)
	}
	return nil
}

// Freeze stops the process, Thaw lets it go on.
func (d *Daemon) Freeze() { d.t.Helper(); d.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (d *Daemon) Thaw() { d.t.Helper(); d.Signal(syscall.SIGCONT) }

// Signal sends a signal.
func (d *Daemon) Signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatalf("the daemon: %v", err)
	}
}

// Running reports whether the process has not ended.
func (d *Daemon) Running() bool {
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// Readiness is what /readyz answers: the status code, and the body.
func (d *Daemon) Readiness() (code int, body string, err error) {
	return get("http://" + d.Admin + "/readyz")
}

// Metrics are the daemon's, by name with labels.
func (d *Daemon) Metrics() (map[string]float64, error) {
	_, text, err := get("http://" + d.Admin + "/metrics")
	if err != nil {
		return nil, err
	}
	all := make(map[string]float64)
	for line := range strings.Lines(text) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if f, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
				all[line[:i]] = f
			}
		}
	}
	return all, nil
}

// Metric is one of them, 0 if there is none.
func (d *Daemon) Metric(name string) float64 {
	d.t.Helper()
	all, err := d.Metrics()
	if err != nil {
		d.t.Fatal(err)
	}
	return all[name]
}

// WaitMetric waits until a metric is at least so much.
func (d *Daemon) WaitMetric(name string, least float64) {
	d.t.Helper()
	Eventually(d.t, name, func() error {
		all, err := d.Metrics()
		if err == nil && all[name] < least {
			err = fmt.Errorf("it is %v, want %v", all[name], least)
		}
		return err
	})
}

// WaitReady waits until /readyz answers with a status of so many, and words in its
// body.
func (d *Daemon) WaitReady(code int, words ...string) {
	d.t.Helper()
	Eventually(d.t, fmt.Sprintf("readiness is %d with %q", code, words), func() error {
		got, body, err := d.Readiness()
		if err != nil {
			return err
		}
		for _, word := range words {
			if !strings.Contains(body, word) {
				got = 0
			}
		}
		if got != code {
			return fmt.Errorf("it is %s", body)
		}
		return nil
	})
}

// Post publishes an event by the HTTP API and returns the status code.
func (d *Daemon) Post(channel, event, data string, at time.Time) (code int, body string, err error) {
	text, err := json.Marshal(map[string]string{"name": event, "channel": channel, "data": data})
	if err != nil {
		return 0, "", err
	}
	path := "/apps/" + AppID + "/events"
	query := auth.SignRequest(http.MethodPost, path, nil, text, Key, Secret, at)
	return ask(http.MethodPost, "http://"+d.Addr+path+"?"+query, text)
}

// web asks daemons, which may be frozen, and leaves no connection behind.
var web = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(url string) (code int, body string, err error) { return ask(http.MethodGet, url, nil) }

func ask(method, url string, content []byte) (code int, body string, err error) {
	req, err := http.NewRequest(method, url, bytes.NewReader(content))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := web.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// Eventually waits until is has no error any more.
func Eventually(t testing.TB, what string, is func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: in vain, %v", what, err)
		}
	}
}

// Log keeps what a daemon logs. Its methods may be called by any goroutine.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Lines counts the lines that have all words.
func (l *Log) Lines(words ...string) (n int) {
lines:
	for line := range strings.Lines(l.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		n++
	}
	return n
}

func (l *Log) tail() string {
	text := l.String()
	return text[max(0, len(text)-8000):]
}

// WaitLog waits for a line with all words.
func (d *Daemon) WaitLog(words ...string) {
	d.t.Helper()
	Eventually(d.t, fmt.Sprintf("a line of the log with %q", words), func() error {
		if d.Log.Lines(words...) == 0 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}
