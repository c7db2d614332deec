package faults_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"broadcastd/test/daemon"
)

// TestMemoryLimit floods clients that don't read, all with different events, so that
// what waits for them would be more than GOMEMLIMIT. They are ended, which frees it.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const limit = 32 << 20
	d := daemon.Start(t, daemon.Options{Env: []string{fmt.Sprint("GOMEMLIMIT=", limit)}, App: "max_outbox: 1MiB"})
	d.WaitLog("memory is limited", fmt.Sprint("bytes=", limit), "by=GOMEMLIMIT")
	if n := d.Metric("go_gc_gomemlimit_bytes"); n != limit {
		t.Errorf("the limit is %v", n)
	}
	before := d.Holds()
	witness := d.Connect()
	witness.Subscribe("private-jobs")

	const deaf = 40
	for i := range deaf {
		conn := handshake(t, d.Addr)
		if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil { // else the kernel may take megabytes
			t.Fatal(err)
		}
		subscribe(t, conn, fmt.Sprint("deaf-", i))
	}
	d.WaitMetric(`broadcastd_subscriptions{app="app",kind="public"}`, deaf)
	big := strings.Repeat("x", 100<<10-2) // with quotes
	for range 30 {                        // 3 MB for each, 120 MB for all
		for i := range deaf {
			if code, body, err := d.Post(fmt.Sprint("deaf-", i), "e", big, time.Now()); code != 200 {
				t.Fatal(code, body, err)
			}
		}
		witness.Send(`{"event":"pusher:ping"}`)
		if m := witness.Next(); m.Event != "pusher:pong" {
			t.Errorf("the witness got %+v", m)
		}
	}
	d.WaitMetric(`broadcastd_disconnections_total{reason="slow_consumer"}`, deaf)
	daemon.Eventually(t, "the memory is free again", func() error {
		if n := d.Metric("go_memstats_heap_alloc_bytes"); n > limit {
			return fmt.Errorf("%v bytes are in use", n)
		}
		return nil
	})
	witness.Close()
	d.WantNoMore(before)
}

// subscribe asks for a public channel, by hand.
func subscribe(t *testing.T, conn net.Conn, channel string) {
	t.Helper()
	text := `{"event":"pusher:subscribe","data":{"channel":"` + channel + `"}}`
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
}
