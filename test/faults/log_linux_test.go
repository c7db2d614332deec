package faults_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"broadcastd/test/daemon"
)

const dropped = "broadcastd_log_dropped_total"

// chatty is a daemon that logs each message, to a stderr of the test's.
func chatty(t *testing.T, stderr *os.File) (*daemon.Daemon, *daemon.Client) {
	t.Helper()
	d := daemon.Start(t, daemon.Options{Config: "debug: true", Stderr: stderr, Ports: daemon.FreePorts(t)})
	c := d.Connect()
	c.Subscribe("private-jobs")
	return d, c
}

// serves publishes an event, which arrives.
func serves(t *testing.T, d *daemon.Daemon, c *daemon.Client, data string) {
	t.Helper()
	if code, body, err := d.Post("private-jobs", "e", data, time.Now()); code != 200 {
		t.Errorf("the HTTP API answers %d %s %v", code, body, err)
	}
	c.Want("private-jobs", "e", data)
}

// wantLost waits until lines are counted as lost, and shown where the log can't.
func wantLost(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	d.WaitMetric(dropped, 1)
	d.WaitReady(200, `"ready"`, "lines of the log were lost")
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func TestLogDiskFull(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	d, c := chatty(t, full)
	wantLost(t, d)
	serves(t, d, c, "1")
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

// Go ends a process that writes to a stderr that nobody reads any more.
func TestLogReaderDies(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	d, c := chatty(t, w)
	_ = w.Close()
	serves(t, d, c, "1")
	_ = r.Close()
	serves(t, d, c, "2")
	wantLost(t, d)
	serves(t, d, c, "3")
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

// A reader that hangs stops nobody, also not at the end; once it reads again it is
// told how much it has missed.
func TestLogReaderHangs(t *testing.T) {
	t.Parallel()
	r, w := pipe(t)
	d, c := chatty(t, w)
	_ = w.Close()
	big := strings.Repeat("x", 50<<10)
	for range 40 { // more than the pipe and what waits take
		serves(t, d, c, big)
	}
	wantLost(t, d)

	lines := make(chan string, 1000)
	hanging := make(chan struct{})
	go func() {
		defer close(lines)
		in := bufio.NewReaderSize(r, 1<<20)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if strings.Contains(line, "log lines were lost") {
				lines <- line
				<-hanging
			}
		}
	}()
	select {
	case line := <-lines:
		if !strings.Contains(line, "level=WARN") || !strings.Contains(line, " lines=") {
			t.Errorf("it was told %s", line)
		}
	case <-time.After(time.Minute):
		t.Fatal("the reader was not told of the lost lines")
	}
	d.WaitReady(200, `{"status":"ready"}`)

	for range 40 { // it hangs again
		serves(t, d, c, big)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	close(hanging)
	for range lines { // until its end
	}
}
