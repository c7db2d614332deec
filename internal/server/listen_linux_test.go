package server_test

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"broadcastd/internal/server"
)

const waiting = 20

// wait has connections wait for somebody to accept them.
func wait(t *testing.T, addr net.Addr) {
	t.Helper()
	for range waiting {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestListenerEnds: whoever came before the end is accepted, and nobody after it.
func TestListenerEnds(t *testing.T) {
	l := listen(t)
	wait(t, l.Addr())
	ended := server.EndListener(l, false)
	for i := range waiting {
		conn, err := ended.Accept()
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i, waiting, err)
		}
		_ = conn.Close()
	}
	if _, err := ended.Accept(); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("then: %v", err)
	}
	if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("somebody could connect after the end")
	}
}

// TestInheritedListenerEnds: whoever waits is left to the next who has the socket.
func TestInheritedListenerEnds(t *testing.T) {
	parent := listen(t)
	f, err := parent.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	child, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, parent.Addr())
	if _, err := server.EndListener(child, true).Accept(); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("the end: %v", err)
	}
	for i := range waiting {
		conn, err := parent.Accept()
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i, waiting, err)
		}
		_ = conn.Close()
	}
}
