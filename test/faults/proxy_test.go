package faults_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands in front of a Redis and holds back what passes.
type proxy struct {
	addr  string
	delay atomic.Int64 // in nanoseconds, in each direction
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String()}
	var mu sync.Mutex
	var conns []net.Conn // guarded by mu
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, client, server)
			mu.Unlock()
			passing.Go(func() { p.pass(client, server) })
			passing.Go(func() { p.pass(server, client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		passing.Wait()
	})
	return p
}

// pass ends both with the first that ends. A delay is a way's length, not its width.
func (p *proxy) pass(from, to net.Conn) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1000)
	var writing sync.WaitGroup
	writing.Go(func() {
		for piece := range pieces {
			time.Sleep(time.Until(piece.due))
			_, _ = to.Write(piece.bytes) // the reader tells
		}
		_ = to.Close()
	})
	for {
		buf := make([]byte, 4<<10)
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{buf[:n], time.Now().Add(time.Duration(p.delay.Load()))}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	writing.Wait()
}
