package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/test/redistest"
)

// TestMain lets the test binary be the daemon, so that signals and exit codes
// are the real ones.
func TestMain(m *testing.M) {
	if os.Getenv("BE_BROADCASTD") != "" {
		env := os.Environ()
		for i, v := range env {
			if strings.HasPrefix(v, "BE_BROADCASTD=") {
				env = append(env[:i], env[i+1:]...)
				break
			}
		}
		os.Exit(run(os.Args[1:], env, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// daemon is a running process.
type daemon struct {
	*exec.Cmd
	out  *output
	addr string
}

// output can be read while the process writes.
type output struct {
	path string
	file *os.File
}

func newOutput(t *testing.T) *output {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &output{f.Name(), f}
}

func (o *output) String() string {
	b, _ := os.ReadFile(o.path)
	return string(b)
}

// waitFor returns the groups of the first match.
func (o *output) waitFor(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m
		}
	}
	t.Fatalf("%q did not appear in:\n%s", pattern, o)
	return nil
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = t.TempDir() // no config.yaml
	cmd.Env = append([]string{"BE_BROADCASTD=1", "HOME=/", "PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

func startDaemon(t *testing.T, env []string, args ...string) *daemon {
	t.Helper()
	d := &daemon{Cmd: command(t, env, append([]string{"start"}, args...)...), out: newOutput(t)}
	d.Stdout, d.Stderr = d.out.file, d.out.file
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	d.addr = d.out.waitFor(t, `msg=listening address=(\S+)`)[1]
	return d
}

func (d *daemon) stop(t *testing.T) {
	t.Helper()
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, d.out)
	}
}

// app is what the tests configure by environment.
var app = []string{
	"BROADCASTD_APP_ID=app-id", "BROADCASTD_APP_KEY=app-key", "BROADCASTD_APP_SECRET=hush-hush",
	"BROADCASTD_ADMIN_LISTEN=127.0.0.1:0", "BROADCASTD_HOST=127.0.0.1", "BROADCASTD_PORT=0",
}

func TestStartDeliversAndStops(t *testing.T) {
	redis := redistest.Start(t)
	d := startDaemon(t, append(app, "BROADCASTD_REDIS_URL="+redis.URL()), "--debug")
	d.out.waitFor(t, `msg="redis subscribed"`)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+d.addr+"/app/app-key?protocol=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	next := func() (m struct{ Event, Channel, Data string }) {
		t.Helper()
		_, b, err := ws.Read(ctx)
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			t.Fatalf("reading %s: %v", b, err)
		}
		return m
	}
	if m := next(); m.Event != "pusher:connection_established" {
		t.Errorf("greeting is %s", m.Event)
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:subscribe","data":{"channel":"jobs.discovery","auth":"app-key:top-secret-signature"}}`)); err != nil {
		t.Fatal(err)
	}
	if m := next(); m.Event != "pusher_internal:subscription_succeeded" {
		t.Errorf("answer is %s", m.Event)
	}
	err = redis.Client().Publish(ctx, "laravel-database-jobs.discovery", `{"event":"job.posted","data":{"id":1,"socket":null},"socket":null}`).Err()
	if err != nil {
		t.Fatal(err)
	}
	if m := next(); m.Event != "job.posted" || m.Data != `{"id":1}` {
		t.Errorf("event is %+v", m)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := ws.Read(ctx)
		done <- err
	}()
	d.stop(t)
	if err := <-done; websocket.CloseStatus(err) != 4200 {
		t.Errorf("the client saw %v, want 4200", err)
	}
	for _, secret := range []string{"hush-hush", "top-secret-signature"} {
		if strings.Contains(d.out.String(), secret) {
			t.Errorf("%q was printed:\n%s", secret, d.out)
		}
	}
	for _, what := range []string{"message in", "message out", "job.posted"} {
		if !strings.Contains(d.out.String(), what) {
			t.Errorf("--debug did not print %q:\n%s", what, d.out)
		}
	}
}

// TestSecondSignal: who doesn't want to wait for the end signals again.
func TestSecondSignal(t *testing.T) {
	d := startDaemon(t, append(app, "BROADCASTD_SHUTDOWN_DELAY=1h", "BROADCASTD_SHUTDOWN_TIMEOUT=2h"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = d.Wait() // the signal is its error
	}()
	for running := true; running; { // the first may have just been heard
		_ = d.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
			running = false
		case <-time.After(100 * time.Millisecond):
		}
	}
	if strings.Contains(d.out.String(), "msg=stopped") {
		t.Errorf("it ended in an orderly way:\n%s", d.out)
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no app":           {nil, nil, "no app is configured"},
		"unknown variable": {append(app, "BROADCASTD_PROT=1"), nil, "BROADCASTD_PORT"},
		"unknown flag":     {app, []string{"--prot=1"}, "unknown flag"},
		"argument":         {app, []string{"now"}, "unknown command"},
		"port taken":       {append(app, "BROADCASTD_PORT="+port), nil, "address already in use"},
		"redis required": {append(app, "BROADCASTD_REDIS_REQUIRED=true", "BROADCASTD_REDIS_URL=redis://:hush-hush@127.0.0.1:1"), nil,
			"redis.required"},
		"no such file": {app, []string{"--config=nowhere.yaml"}, "nowhere.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, c.env, append([]string{"start"}, c.args...)...)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("exit code %d, want 1", cmd.ProcessState.ExitCode())
			}
			if !bytes.Contains(out, []byte(c.want)) || bytes.Contains(out, []byte("hush-hush")) {
				t.Errorf("output is\n%s\nwant %q in it and no secret", out, c.want)
			}
		})
	}
}

func TestDev(t *testing.T) {
	redis := redistest.Start(t)
	d := startDaemon(t, []string{"BROADCASTD_REDIS_URL=" + redis.URL(), "BROADCASTD_ADMIN_LISTEN=127.0.0.1:0"}, "--dev", "--port=0")
	line := d.out.waitFor(t, `redis-cli publish (\S+) '(.*)'`)
	for _, want := range []string{"REVERB_APP_KEY=app-key", "broadcaster: 'reverb'", "BROADCAST_CONNECTION="} {
		d.out.waitFor(t, regexp.QuoteMeta(want))
	}
	if host, _, _ := net.SplitHostPort(d.addr); host != "127.0.0.1" {
		t.Errorf("--dev listens on %s", host)
	}
	d.out.waitFor(t, `msg="redis subscribed"`)
	n, err := redis.Client().Publish(t.Context(), line[1], line[2]).Result()
	if err != nil || n != 1 {
		t.Errorf("publishing the suggested line reached %d subscribers, %v", n, err)
	}
	d.stop(t)
}

func TestCheckAndHealth(t *testing.T) {
	out, err := command(t, app, "check").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"app.secret", "******", "env BROADCASTD_APP_SECRET", "redis.prefix"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("check lacks %q:\n%s", want, out)
		}
	}
	if bytes.Contains(out, []byte("hush-hush")) {
		t.Error("check prints the secret")
	}

	d := startDaemon(t, app)
	_, port, _ := net.SplitHostPort(d.addr)
	if out, err := command(t, app, "health", "--port="+port).CombinedOutput(); err != nil {
		t.Errorf("health of a running server: %v %s", err, out)
	}
	res, err := http.Get("http://" + d.addr + "/up")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("/up answers %s", res.Status)
	}
	d.stop(t)
	if err := command(t, app, "health", "--port="+port).Run(); err == nil {
		t.Error("health of a stopped server is good")
	}
}

func TestLogsOfBothFormatsHaveReadableDurations(t *testing.T) {
	for format, want := range map[string]string{"text": "gap=2m0s", "json": `"gap":"2m0s"`} {
		var log bytes.Buffer
		newLogger(format, slog.LevelInfo, &log).Info("back", "gap", 2*time.Minute)
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s: %q lacks %q", format, log.String(), want)
		}
	}
}

// TestCheckReadsTheCertificate: what would stop a start or a reload is found before.
func TestCheckReadsTheCertificate(t *testing.T) {
	for what, want := range map[string]string{"": "no such file", "no certificate": "failed to find any PEM data"} {
		dir := t.TempDir()
		files := []string{"BROADCASTD_TLS_CERT=" + dir + "/cert.pem", "BROADCASTD_TLS_KEY=" + dir + "/key.pem"}
		if what != "" {
			for _, name := range []string{"cert.pem", "key.pem"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(what), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		out, err := command(t, append(files, app...), "check").CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("tls.cert")) || !bytes.Contains(out, []byte(want)) {
			t.Errorf("with %q in the files: %v\n%s", what, err, out)
		}
	}
}

// TestHealthOfWhatSpeaksProxy: with proxy_protocol, who asks from a proxy's machine
// begins as the proxy does.
func TestHealthOfWhatSpeaksProxy(t *testing.T) {
	behind := append(app, "BROADCASTD_PROXY_PROTOCOL=true", "BROADCASTD_TRUSTED_PROXIES=127.0.0.0/8")
	d := startDaemon(t, behind)
	_, port, _ := net.SplitHostPort(d.addr)
	if out, err := command(t, behind, "health", "--port="+port).CombinedOutput(); err != nil {
		t.Errorf("health: %v %s", err, out)
	}
	d.stop(t)
}

func TestCheckRedis(t *testing.T) {
	redis := redistest.Start(t)
	cmd := command(t, append(app, "BROADCASTD_REDIS_URL="+redis.URL()), "check", "--redis=3s")
	out := newOutput(t)
	cmd.Stdout, cmd.Stderr = out.file, out.file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.waitFor(t, "Listening")
	client := redis.Client()
	for n := int64(0); n == 0; { // until it listens
		var err error
		if n, err = client.Publish(t.Context(), "my-shop-database-private-user.7", `{"event":"e","data":[],"socket":null}`).Result(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"my-shop-database-", "NOT HEARD", "private-user.7", "prefix: ["} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

func TestVersionAndCompletion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"completion", "bash"}, {"--help"}, {"start", "--help"}} {
		out, err := command(t, nil, args...).Output()
		if err != nil || !bytes.Contains(out, []byte("broadcastd")) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

func TestEnvFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	const text = `APP_NAME="Job Market"
REVERB_APP_ID=1
REVERB_APP_KEY=laravel-key
REVERB_APP_SECRET=hush-hush
REVERB_HOST="localhost"
REVERB_PORT=%s
REVERB_SERVER_PORT=0
REDIS_PASSWORD=null
VITE_REVERB_APP_KEY="${REVERB_APP_KEY}"
`
	if err := os.WriteFile(file, fmt.Appendf(nil, text, "8080"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, nil, "check", "--env-file="+file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"laravel-key", "job-market-database-, job_market_database_", "REVERB_APP_KEY"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("check lacks %q:\n%s", want, out)
		}
	}
}
