package faults_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"broadcastd/test/daemon"
)

// TestProcessFrozen stops the process for longer than clients may be silent, as a
// machine does that sleeps. Who answered its ping meanwhile is kept, and who is gone
// is found.
func TestProcessFrozen(t *testing.T) {
	t.Parallel()
	const pong = time.Second
	d := daemon.Start(t, daemon.Options{App: "ping_interval: 1s, pong_timeout: " + pong.String()})
	before := d.Holds()
	var clients []*daemon.Client
	for range 300 {
		c := d.Connect()
		c.Subscribe("private-jobs")
		c.Silence()
		clients = append(clients, c)
	}
	gone := handshake(t, d.Addr)
	for _, c := range clients {
		<-c.Pinged
	}
	d.Freeze()
	for _, c := range clients {
		c.Pong()
	}
	time.Sleep(2 * pong) // is the fault
	d.Thaw()
	if code, body, err := d.Post("private-jobs", "e", "1", time.Now()); code != 200 {
		t.Errorf("the HTTP API answers %d %s %v", code, body, err)
	}
	wantCut(t, gone)
	if code, _, err := d.Post("private-jobs", "e", "2", time.Now()); code != 200 {
		t.Error(code, err)
	}
	for _, c := range clients {
		c.Want("private-jobs", "e", "1")
		c.Want("private-jobs", "e", "2")
		c.Close()
	}
	d.WantNoMore(before)
}

// handshake is a client that says nothing after it.
func handshake(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET /app/"+daemon.Key+"?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantCut reads until the daemon has ended the connection.
func wantCut(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "no pong came in time") {
		t.Errorf("got %q, then %v", text, err)
	}
}
