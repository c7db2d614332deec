package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadcastd/test/daemon"
	"broadcastd/test/redistest"
)

func TestClock(t *testing.T) {
	t.Parallel()
	binary := buildLeaping(t)
	t.Run("leaps", func(t *testing.T) { t.Parallel(); testClockLeaps(t, binary) })
	t.Run("is wrong on a node", func(t *testing.T) { t.Parallel(); testNodesClock(t, binary) })
}

// testClockLeaps sets the daemon's wall clock an hour forward, back, and back once
// more. It measures by the monotonic clock, so only what others have dated is
// affected: requests of the HTTP API, whose answer tells what to do.
func testClockLeaps(t *testing.T, binary string) {
	t.Helper()
	server := redistest.Start(t)
	d := daemon.Start(t, daemon.Options{
		Binary: binary,
		Config: fmt.Sprintf("redis: {url: %q, prefix: [laravel-]}", server.URL()),
		App:    "ping_interval: 1s, pong_timeout: 10s, cache_ttl: 30m",
	})
	c := d.Connect()
	c.Subscribe("private-jobs")
	d.WaitMetric(redisUp, 1)
	if code, body, err := d.Post("private-cache-jobs", "kept", "1", time.Now()); code != 200 {
		t.Fatal(code, body, err)
	}
	for i, leap := range []struct {
		signal syscall.Signal
		off    time.Duration // since the beginning
		status int
	}{
		{syscall.SIGUSR1, time.Hour, 401},
		{syscall.SIGUSR2, 0, 200},
		{syscall.SIGUSR2, -time.Hour, 401},
		{syscall.SIGUSR1, 0, 200},
	} {
		d.Signal(leap.signal)
		daemon.Eventually(t, "the clock is set", func() error {
			if n := d.Log.Lines("the clock was set"); n != i+1 {
				return fmt.Errorf("it was %d times", n)
			}
			return nil
		})
		<-c.Pinged // by an old ping or a new one
		<-c.Pinged
		code, body, err := d.Post("private-jobs", "posted", "1", time.Now())
		if code != leap.status || code == 401 && !strings.Contains(body, "set the clocks of both machines (NTP)") {
			t.Errorf("%s off, the HTTP API answers %d %s %v", leap.off, code, body, err)
		}
		if code == 200 {
			c.Want("private-jobs", "posted", "1")
		}
		if code, body, err := d.Post("private-jobs", "dated", "1", time.Now().Add(leap.off)); code != 200 {
			t.Errorf("%s off, as the publisher is, the HTTP API answers %d %s %v", leap.off, code, body, err)
		}
		c.Want("private-jobs", "dated", "1")
		if err := server.Client().Publish(context.Background(), "laravel-private-jobs", `{"event":"e","data":1}`).Err(); err != nil {
			t.Fatal(err)
		}
		c.Want("private-jobs", "e", "1")
		late := d.Connect()
		late.Subscribe("private-cache-jobs")
		late.Want("private-cache-jobs", "kept", "1")
		late.Close()
		d.WaitReady(200, `"ready"`)
	}
	if n := d.Metric(reconnects); n != 0 {
		t.Errorf("%v reconnects to Redis, want none", n)
	}
	if n := d.Metric(`broadcastd_http_api_refused_total{reason="stale"}`); n != 2 {
		t.Errorf("%v requests are counted as stale, want 2", n)
	}
}

// testNodesClock lets a node's last event of a cache channel outlive it, though its
// clock is an hour behind: it counts by that of Redis.
func testNodesClock(t *testing.T, binary string) {
	t.Helper()
	server := redistest.Start(t)
	o := daemon.Options{
		Binary: binary,
		Config: fmt.Sprintf("redis: {url: %q, source: stream}\nscaling: {enabled: true}", server.URL()),
		App:    "cache_ttl: 30m",
	}
	behind := daemon.Start(t, o)
	behind.Signal(syscall.SIGUSR2)
	behind.WaitLog("the clock was set")
	if code, body, err := behind.Post("private-cache-jobs", "kept", "1", time.Now().Add(-time.Hour)); code != 200 {
		t.Fatal(code, body, err)
	}
	if err := behind.Stop(); err != nil {
		t.Fatal(err)
	}
	c := daemon.Start(t, o).Connect()
	c.Subscribe("private-cache-jobs")
	c.Want("private-cache-jobs", "kept", "1")
}

// buildLeaping builds a daemon whose wall clock leaps by an hour at SIGUSR1, and back
// at SIGUSR2: with a time.Now that adds to what the system says.
func buildLeaping(t *testing.T) (binary string) {
	t.Helper()
	dir := t.TempDir()
	binary = filepath.Join(dir, "broadcastd")
	text, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	std := filepath.Join(strings.TrimSpace(string(text)), "src", "time")
	clock, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n"
	if strings.Count(string(clock), now) != 1 {
		t.Fatal("this Go has another time.Now: adapt this test to it")
	}
	set := strings.Replace(string(clock), now, strings.Replace(now, "\n", "\n\tsec += Leap.Load()\n", 1), 1)
	if err := os.WriteFile(filepath.Join(dir, "time.go"), []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	absolute := func(path ...string) string {
		full, err := filepath.Abs(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return full
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(std, "time.go"):                           filepath.Join(dir, "time.go"),
		filepath.Join(std, "leap.go"):                           absolute("testdata", "leap.go.txt"),
		absolute("..", "..", "cmd", "broadcastd", "zz_leap.go"): absolute("testdata", "main.go.txt"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", file, "-o", binary, "broadcastd/cmd/broadcastd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	return binary
}
