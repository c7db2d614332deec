package nonblock_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"broadcastd/internal/nonblock"
)

// pair is a connection's two ends: one that was accepted by a Listener, and
// its peer.
func pair(t *testing.T) (conn net.Conn, peer *net.TCPConn) {
	t.Helper()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	dialed, err := net.Dial("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err = nonblock.Listener{Listener: plain}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = dialed.Close()
	})
	return conn, dialed.(*net.TCPConn)
}

// More than the kernel takes at once goes out, and comes in, complete and in
// order; the end comes after it.
func TestTransfersAll(t *testing.T) {
	conn, peer := pair(t)
	sent := make([]byte, 32<<20)
	for i := range sent {
		sent[i] = byte(i >> 10)
	}
	go func() { // the peer echoes
		_, _ = io.Copy(peer, peer)
		_ = peer.CloseWrite()
	}()
	wrote := make(chan error, 1)
	go func() {
		n, err := conn.Write(sent)
		if err == nil && n != len(sent) {
			err = errors.New("a short write")
		}
		if err == nil {
			err = conn.(interface{ CloseWrite() error }).CloseWrite()
		}
		wrote <- err
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes of %d, the same: %t, err %v", len(got), len(sent), bytes.Equal(got, sent), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func TestEmptyRead(t *testing.T) {
	conn, _ := pair(t)
	if n, err := conn.Read(nil); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// A deadline ends a read under way, as net/http's server needs it, and the
// connection can be read after it.
func TestDeadline(t *testing.T) {
	conn, peer := pair(t)
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	wantOp(t, err, "read", os.ErrDeadlineExceeded)
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	if n, err := conn.Read(b); n != 1 || err != nil || b[0] != 'x' {
		t.Errorf("read %q, %v", b[:n], err)
	}
}

func TestClosedWhileReading(t *testing.T) {
	conn, _ := pair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	wantOp(t, <-ended, "read", net.ErrClosed)
	_, err := conn.Write([]byte("x"))
	wantOp(t, err, "write", net.ErrClosed)
}

// A peer that is gone is an error of the write, not a signal.
func TestPeerGone(t *testing.T) {
	conn, peer := pair(t)
	if err := peer.SetLinger(0); err != nil { // it resets
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = conn.Write([]byte("x"))
	}
	wantOp(t, err, "write", syscall.EPIPE, syscall.ECONNRESET)
}

// wantOp demands an error of package net's form, with one of the causes.
func wantOp(t *testing.T, err error, op string, causes ...error) {
	t.Helper()
	var got *net.OpError
	is := func(cause error) bool { return errors.Is(err, cause) }
	if !errors.As(err, &got) || got.Op != op || !slices.ContainsFunc(causes, is) {
		t.Errorf("got %v, want %s: %v", err, op, causes)
	}
}

func TestAllocatesNothing(t *testing.T) {
	conn, peer := pair(t)
	go func() { _, _ = io.Copy(peer, peer) }()
	b := []byte("x")
	n := testing.AllocsPerRun(100, func() {
		if _, err := conn.Write(b); err != nil {
			t.Error(err)
		}
		if _, err := conn.Read(b); err != nil {
			t.Error(err)
		}
	})
	if n > 0 {
		t.Errorf("a write and a read allocate %v times", n)
	}
}

func TestOthersStayAsTheyAre(t *testing.T) {
	conn, peer := net.Pipe()
	defer conn.Close()
	defer peer.Close()
	if nonblock.New(conn) != conn {
		t.Error("a pipe was wrapped")
	}
}
