package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/protocol"
)

// testServer accepts connections and joins each to topic 1.
type testServer struct {
	*httptest.Server
	flushers *Flushers
	conns    chan *Conn
	ended    chan *Reason
	open     sync.WaitGroup
}

func newTestServer(t *testing.T, limits Limits, wrap func(net.Listener) net.Listener) *testServer {
	t.Helper()
	flushers, err := NewFlushers(Options{Count: 2, Shortest: min(limits.PingInterval, limits.PongTimeout)})
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{
		flushers: flushers,
		conns:    make(chan *Conn, 100),
		ended:    make(chan *Reason, 100),
	}
	var ids atomic.Uint64
	ts.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := protocol.NewSocketID(ids.Add(1))
		c, err := ts.flushers.Upgrade(w, r, id, protocol.Established(id, 120), &limits)
		if err != nil {
			return
		}
		c.Join(1, text("joined"))
		ts.open.Add(1)
		ts.conns <- c
		if err := c.Start(&echo{ts, c}); err != nil {
			t.Error(err)
		}
	}))
	if wrap != nil {
		ts.Listener = wrap(ts.Listener)
	}
	ts.Start()
	t.Cleanup(func() {
		ts.flushers.KillAll(ReasonShutdown)
		ts.Close()
		ts.open.Wait()
		ts.flushers.Stop()
	})
	return ts
}

// echo sends messages back.
type echo struct {
	server *testServer
	conn   *Conn
}

func (e *echo) Message(message []byte) { e.conn.Send(text("echo " + string(message))) }

func (e *echo) End(reason *Reason) {
	e.server.ended <- reason
	e.server.open.Done()
}

func generous() Limits {
	return Limits{MaxMessageSize: 1 << 16, MaxOutbox: 1 << 20, PingInterval: time.Minute, PongTimeout: time.Minute}
}

func text(s string) protocol.Frame { return protocol.TextFrame([]byte(s)) }

// dial connects and reads the greeting.
func (ts *testServer) dial(t *testing.T) (*websocket.Conn, *Conn) {
	t.Helper()
	ws, res, err := websocket.Dial(t.Context(), ts.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	ws.SetReadLimit(1 << 24)
	t.Cleanup(func() { _ = ws.CloseNow() })
	c := <-ts.conns
	if got := read(t, ws); !strings.Contains(got, c.SocketID().String()) {
		t.Errorf("greeting is %s, want socket id %s in it", got, c.SocketID())
	}
	if got := read(t, ws); got != "joined" {
		t.Errorf("second message is %s", got)
	}
	return ws, c
}

func read(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, b, err := ws.Read(ctx)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return string(b)
}

func (ts *testServer) reason(t *testing.T) *Reason {
	t.Helper()
	select {
	case r := <-ts.ended:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("the connection did not end")
		return nil
	}
}

// plain hides that a connection is TCP, so that the way of writing for TLS and
// for other systems is taken.
type plain struct{ net.Listener }

type plainConn struct{ net.Conn }

func (l plain) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plainConn{nc}, nil
}

func (c plainConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

func TestBroadcast(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"system call": nil,
		"goroutine":   func(l net.Listener) net.Listener { return plain{l} },
	} {
		t.Run(name, func(t *testing.T) {
			ts := newTestServer(t, generous(), wrap)
			const clients, events = 10, 500
			var wg sync.WaitGroup
			var first *Conn
			for n := range clients {
				ws, c := ts.dial(t)
				if n == 0 {
					first = c
				}
				wg.Go(func() {
					for want := range events {
						if n == 0 && want%10 == 0 {
							continue // it was excepted
						}
						if got := read(t, ws); got != fmt.Sprint(want) {
							t.Errorf("got %s, want %d", got, want)
							return
						}
					}
				})
			}
			for i := range events {
				var except protocol.SocketID
				if i%10 == 0 {
					except = first.SocketID()
				}
				for f := range ts.flushers.Flushers() {
					ts.flushers.Broadcast(f, 1, protocol.Shared{Frame: text(fmt.Sprint(i))}, except, time.Time{})
				}
			}
			wg.Wait()
			if got, want := ts.flushers.Delivered(), int64(clients*events-events/10); got != want {
				t.Errorf("delivered %d, want %d", got, want)
			}
		})
	}
}

func TestLeaveIsInOrder(t *testing.T) {
	ts := newTestServer(t, generous(), nil)
	ws, c := ts.dial(t)
	send := func(s string) { ts.flushers.Broadcast(c.Flusher(), 1, protocol.Shared{Frame: text(s)}, 0, time.Time{}) }
	send("before")
	c.Leave(1)
	send("after")
	c.Send(text("last"))
	if a, b := read(t, ws), read(t, ws); a != "before" || b != "last" {
		t.Errorf("got %s, %s", a, b)
	}
}

func TestCloseSaysWhy(t *testing.T) {
	ts := newTestServer(t, generous(), nil)
	ws, c := ts.dial(t)
	c.Send(text("first"))
	c.Close(ReasonShutdown)
	c.Send(text("too late"))
	c.Close(ReasonSlow)
	if got := read(t, ws); got != "first" {
		t.Errorf("got %s", got)
	}
	_, _, err := ws.Read(t.Context())
	var ce websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != 4200 || ce.Reason != ReasonShutdown.Text {
		t.Errorf("the client saw %v", err)
	}
	if r := ts.reason(t); r != ReasonShutdown {
		t.Errorf("reason %s, want the first", r.Label)
	}
}

func TestClientLeaves(t *testing.T) {
	ts := newTestServer(t, generous(), nil)
	ws, _ := ts.dial(t)
	if err := ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("closing handshake: %v", err)
	}
	if r := ts.reason(t); r != ReasonClient {
		t.Errorf("reason %s", r.Label)
	}
	ws, _ = ts.dial(t)
	_ = ws.CloseNow()
	if r := ts.reason(t); r != ReasonLost {
		t.Errorf("reason %s", r.Label)
	}
}

// TestSlowConsumer stops reading: the client is closed for it, and another
// one gets everything.
func TestSlowConsumer(t *testing.T) {
	limits := generous()
	limits.MaxOutbox = 256 << 10
	ts := newTestServer(t, limits, nil)
	slow, _ := ts.dial(t)
	healthy, _ := ts.dial(t)
	frame := text(strings.Repeat("x", 64<<10))
	for range 500 { // more than the kernel takes
		for f := range ts.flushers.Flushers() {
			ts.flushers.Broadcast(f, 1, protocol.Shared{Frame: frame}, 0, time.Time{})
		}
		read(t, healthy)
	}
	if r := ts.reason(t); r != ReasonSlow {
		t.Errorf("reason %s", r.Label)
	}
	var err error
	for err == nil {
		_, _, err = slow.Read(t.Context())
	}
	if code := websocket.CloseStatus(err); code != 4100 && !errors.Is(err, io.EOF) && code != -1 {
		t.Errorf("the slow client saw %v", err)
	}
}

// TestBurst is more than an outbox holds, for a client that reads.
func TestBurst(t *testing.T) {
	limits := generous()
	limits.MaxOutbox = 64 << 10
	ts := newTestServer(t, limits, nil)
	ws, c := ts.dial(t)
	const events = 2000
	var wg sync.WaitGroup
	wg.Go(func() {
		for want := range events {
			if got := read(t, ws); !strings.HasPrefix(got, fmt.Sprint(want, " ")) {
				t.Errorf("got %.20s, want %d", got, want)
				return
			}
		}
	})
	// In portions that fit into what the kernel takes.
	for i := range events {
		c.Send(text(fmt.Sprint(i, " ", strings.Repeat("x", 100))))
		if i%500 == 499 {
			waitFor(t, func() bool { return ts.flushers.Backlog() == 0 })
		}
	}
	wg.Wait()
}

func TestKeepAlive(t *testing.T) {
	limits := generous()
	limits.PingInterval, limits.PongTimeout = 100*time.Millisecond, 5*time.Second
	ts := newTestServer(t, limits, nil)

	// Reading answers the WebSocket's ping, which is enough.
	lively, _ := ts.dial(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range 5 { // longer than the silent one lives
			if got := read(t, lively); got != string(protocol.Ping().Payload()) {
				t.Errorf("the lively client got %s", got)
			}
		}
	})
	silent, err := net.Dial("tcp", ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	fmt.Fprintf(silent, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
	<-ts.conns
	all, err := io.ReadAll(silent)
	if err != nil {
		t.Fatal(err)
	}
	for what, bytes := range map[string]string{
		"pusher:ping":    `{"event":"pusher:ping","data":{}}`,
		"WebSocket ping": string(protocol.PingFrame()),
		"close frame":    string(protocol.CloseFrame(ReasonPongTimeout.Code, ReasonPongTimeout.Text)),
	} {
		if !strings.Contains(string(all), bytes) {
			t.Errorf("the silent client got no %s", what)
		}
	}
	if r := ts.reason(t); r != ReasonPongTimeout {
		t.Errorf("reason %s", r.Label)
	}
}

func TestEarlyBytesAndEcho(t *testing.T) {
	ts := newTestServer(t, generous(), nil)
	nc, err := net.Dial("tcp", ts.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	message := strings.Repeat("m", 3000)
	frame := append([]byte{0x81, 0x80 | 126, 3000 >> 8, 3000 & 0xff, 0, 0, 0, 0}, message...) // masked with zeros
	_, err = nc.Write(append([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"), frame...))
	if err != nil {
		t.Fatal(err)
	}
	want := "echo " + message
	var got []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(got), want) {
		n, err := nc.Read(buf)
		if err != nil {
			t.Fatalf("%v after %d bytes", err, len(got))
		}
		got = append(got, buf[:n]...)
	}
	if !strings.HasPrefix(string(got), "HTTP/1.1 101 Switching Protocols\r\n") {
		t.Errorf("the response begins %.60q", got)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the condition did not come true")
		}
	}
}

// TestReadingGoesOnUnderOverload: while sources wait because more is broadcast
// than can be written, clients are heard.
func TestReadingGoesOnUnderOverload(t *testing.T) {
	ts := newTestServer(t, generous(), nil)
	ws, c := ts.dial(t)
	c.flusher.pending.Add(2 * maxPending)
	defer c.flusher.pending.Add(-2 * maxPending)
	if err := ws.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, ws); got != "echo hello" {
		t.Errorf("got %s", got)
	}
}
