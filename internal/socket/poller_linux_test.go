package socket

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// listener gives what a client says to heard, and tells of its end.
type listener struct {
	heard func(text []byte)
	ended chan<- *Reason
}

func (l listener) Message(text []byte) { l.heard(text) }
func (l listener) End(reason *Reason)  { l.ended <- reason }

// TestCompressedTakeTurns has a client send much work in few bytes. Another, that
// says something meanwhile, is heard before all of it is done.
func TestCompressedTakeTurns(t *testing.T) {
	fs, err := NewFlushers(Options{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	const size, bombs = 64 << 10, 100
	limits := &Limits{MaxMessageSize: size, MaxOutbox: 1 << 20, Compression: true}
	ended := make(chan *Reason, 2)
	connect := func(heard func([]byte)) (client int) {
		t.Helper()
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := &Conn{flusher: fs.all[0], limits: limits, deflates: true}
		c.link = fs.all[0].poller.link(pair[0], c)
		c.flusher.push(work{op: opAttach, conn: c, frame: text("hello")})
		if err := c.Start(listener{heard, ended}); err != nil {
			t.Fatal(err)
		}
		return pair[1]
	}
	say := func(client int, b []byte) {
		t.Helper()
		if n, err := unix.Write(client, b); err != nil || n < len(b) {
			t.Fatalf("wrote %d bytes of %d: %v", n, len(b), err)
		}
	}

	begun, goOn := make(chan struct{}), make(chan struct{})
	order := make(chan string, bombs+1)
	var first sync.Once
	bomber := connect(func([]byte) {
		first.Do(func() { close(begun); <-goOn })
		order <- "bomb"
	})
	other := connect(func(text []byte) { order <- string(text) })
	say(bomber, bytes.Repeat(clientFrame(0xc1, deflated(bytes.Repeat([]byte("x"), size)), [4]byte{}), bombs))
	<-begun
	say(other, clientFrame(0x81, []byte("I am here"), [4]byte{}))
	close(goOn)
	var heard []string
	for range bombs + 1 {
		heard = append(heard, <-order)
	}
	if at := slices.Index(heard, "I am here"); at > bombs/2 {
		t.Errorf("it was heard after %d bombs of %d", at, bombs)
	}
	for _, client := range []int{bomber, other} {
		_ = unix.Close(client) // ends the connection
		if reason := <-ended; reason != ReasonLost {
			t.Errorf("a client who was cut off ended with %v", reason)
		}
	}
	fs.Stop()
}
