package faults_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"broadcastd/test/daemon"
)

// TestDescriptorLimit has more connect than the process may have descriptors for.
// Those who are in are served; the others wait, and get in once there is room.
func TestDescriptorLimit(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{Descriptors: 40})
	before := d.Holds()
	scraper := &http.Client{Timeout: 10 * time.Second}
	t.Cleanup(scraper.CloseIdleConnections)
	if _, err := failures(scraper, d); err != nil {
		t.Fatal(err)
	}
	witness := d.Connect()
	witness.Subscribe("private-jobs")

	var crowd []net.Conn
	for range 60 { // the kernel's queue takes those that the daemon can't
		conn, err := net.Dial("tcp", d.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		crowd = append(crowd, conn)
	}
	d.WaitLog("level=WARN", "no connection can be accepted", "too many open files", "LimitNOFILE")
	// Who scrapes keeps a connection, as Prometheus does.
	daemon.Eventually(t, "several tries to accept", func() error {
		n, err := failures(scraper, d)
		if err == nil && n < 10 {
			err = fmt.Errorf("there are %d", n)
		}
		return err
	})
	witness.Send(`{"event":"client-e","channel":"private-jobs","data":{}}`)
	witness.Send(`{"event":"pusher:ping"}`)
	if m := witness.Next(); m.Event != "pusher:pong" {
		t.Errorf("a client that is in got %+v", m)
	}
	for _, conn := range crowd {
		_ = conn.Close()
	}

	late := d.Connect()
	late.Subscribe("private-jobs")
	if code, body, err := d.Post("private-jobs", "e", "1", time.Now()); code != 200 {
		t.Errorf("the HTTP API answers %d %s %v", code, body, err)
	}
	witness.Want("private-jobs", "e", "1")
	late.Want("private-jobs", "e", "1")
	witness.Close()
	late.Close()
	scraper.CloseIdleConnections()
	d.WantNoMore(before)
	if n := d.Log.Lines("ccept"); n != 1 {
		t.Errorf("%d lines about it, want one:\n%s", n, d.Log)
	}
	if err := d.Stop(); err != nil {
		t.Error(fmt.Errorf("at SIGTERM: %w", err))
	}
}

// failures counts the tries to accept a connection.
func failures(scraper *http.Client, d *daemon.Daemon) (n int, err error) {
	res, err := scraper.Get("http://" + d.Admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "\nbroadcastd_accept_failures_total ")
	_, err = fmt.Sscan(after, &n)
	return n, err
}
