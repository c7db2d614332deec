package socket_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadcastd/internal/socket"
	"broadcastd/protocol"
)

const topic = 1

// audience is one flusher with connections that read all they get.
type audience struct {
	*socket.Flushers
	conns []*socket.Conn
	open  sync.WaitGroup // connections that haven't ended
	// awaited is how many bytes the readers have still to see; who sees the
	// last of them says so.
	awaited atomic.Int64
	seen    chan struct{}
}

func (a *audience) Message([]byte) {}

func (a *audience) End(*socket.Reason) { a.open.Done() }

var reply = protocol.SubscriptionSucceeded("jobs.discovery", nil)

// newAudience makes n connections that have joined topic. They end with the
// test.
func newAudience(t testing.TB, n int) *audience {
	t.Helper()
	flushers, err := socket.NewFlushers(socket.Options{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	a := &audience{Flushers: flushers, seen: make(chan struct{})}
	limits := &socket.Limits{MaxMessageSize: 1 << 10, MaxOutbox: 8 << 20, PingInterval: time.Hour, PongTimeout: time.Hour}
	joined := make(chan *socket.Conn)
	var ids atomic.Uint64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := protocol.NewSocketID(ids.Add(1))
		c, err := a.Upgrade(w, r, id, protocol.Established(id, 120), limits)
		if err != nil {
			t.Error(err)
			return
		}
		c.Join(topic, reply)
		a.open.Add(1)
		joined <- c
		if err := c.Start(a); err != nil {
			t.Error(err)
		}
	}))
	var readers sync.WaitGroup
	t.Cleanup(func() {
		a.KillAll(socket.ReasonShutdown)
		a.open.Wait()
		readers.Wait()
		server.Close()
		a.Stop()
	})
	for range n {
		nc, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
		a.conns = append(a.conns, <-joined)
		var greeting []byte
		buf := make([]byte, 16<<10)
		for !bytes.HasSuffix(greeting, reply) {
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			greeting = append(greeting, buf[:n]...)
		}
		readers.Go(func() {
			defer nc.Close()
			for {
				n, err := nc.Read(buf)
				if err != nil {
					return // the test ends
				}
				if a.awaited.Add(-int64(n)) == 0 {
					a.seen <- struct{}{}
				}
			}
		})
	}
	return a
}

// broadcast puts events into the flusher's inbox and waits until all
// connections have read them.
func (a *audience) broadcast(events int, f protocol.Frame) {
	a.awaited.Store(int64(len(a.conns) * events * len(f)))
	for range events {
		a.Broadcast(0, topic, protocol.Shared{Frame: f}, 0, time.Time{})
	}
	<-a.seen
}

func posted() protocol.Frame {
	e := protocol.Event{Channel: "jobs.discovery", Name: "job.posted", Data: protocol.QuoteData([]byte(strings.Repeat(`{"id":42}`, 20)))}
	return e.Frame()
}

func TestDeliveryAllocatesNothing(t *testing.T) {
	const connections, events = 100, 10
	a, f := newAudience(t, connections), posted()
	a.broadcast(events, f) // makes what is kept for later rounds
	perRound := testing.AllocsPerRun(20, func() { a.broadcast(events, f) })
	if perDelivery := perRound / (connections * events); perDelivery > 0.01 {
		t.Errorf("%g allocations for %d events to %d connections, %g for each delivery", perRound, events, connections, perDelivery)
	}
}

// BenchmarkBroadcast is bound by the kernel, and includes the readers' work:
// compare runs on one machine only.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		a, f := newAudience(b, n), posted()
		for _, events := range []int{1, 16} {
			b.Run(fmt.Sprintf("connections=%d/events=%d", n, events), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					a.broadcast(events, f)
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N*n*events), "ns/delivery")
			})
		}
	}
}

// BenchmarkJoinLeave joins a topic of n others, which sends a reply, and leaves.
func BenchmarkJoinLeave(b *testing.B) {
	for _, n := range []int{1, 1000} {
		a := newAudience(b, n)
		b.Run(fmt.Sprintf("others=%d", n-1), func(b *testing.B) {
			c := a.conns[0]
			b.ReportAllocs()
			for b.Loop() {
				a.awaited.Store(int64(len(reply)))
				c.Leave(topic)
				c.Join(topic, reply)
				<-a.seen
			}
		})
	}
}
