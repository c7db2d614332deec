package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// flood is a channel that only clients listen to who don't read.
const flood = "flood"

// slowClients subscribe, and then read nothing, while what is published would fill
// any buffer.
func (d *dealer) slowClients(_ string, long time.Duration) {
	var all sync.WaitGroup
	stop := time.After(long)
	for _, g := range d.s.groups {
		for range 3 {
			n := g.nodes[rand.IntN(len(g.nodes))]
			conn, v := d.raw(n)
			if conn == nil {
				continue
			}
			defer conn.Close()
			defer d.s.journal.note(func() { v.ended = d.s.now() })
			_, _ = conn.Write(masked(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q}}`, flood)))
		}
		all.Go(func() {
			p := &publisher{s: d.s, group: g, name: "flood", random: rand.New(rand.NewPCG(d.s.seed, 0))}
			for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				e := p.next(byHTTP, flood)
				p.post("/events", []*event{e}, apiEvent{Name: "event", Channel: flood, Data: strings.Repeat("x", 30_000)})
			}
		})
	}
	<-stop
	all.Wait()
}

// garbage is what strangers send.
func (d *dealer) garbage(_ string, long time.Duration) {
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	var all sync.WaitGroup
	for _, n := range d.s.nodes {
		addr, _, _ := n.at()
		for _, text := range [][]byte{noise[:1000], []byte("GET /app/" + key + "?protocol=7 HTTP/1.1\r\nHost: "), noise} {
			conn, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				continue
			}
			all.Go(func() { send(conn, text, long) })
		}
		for _, text := range [][]byte{noise[:100], noise, masked("{"), masked(`{"event":"pusher:subscribe","data":{"channel":"private-room.0","auth":"key:0"}}`)} {
			conn, v := d.raw(n)
			if conn == nil {
				continue
			}
			all.Go(func() {
				send(conn, text, long)
				d.s.journal.note(func() { v.ended = d.s.now() })
			})
		}
	}
	all.Wait()
}

func send(conn net.Conn, text []byte, long time.Duration) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(long))
	_, _ = conn.Write(text)
	time.Sleep(long)
}

// raw is a WebSocket connection of which only the handshake is read, or nil.
func (d *dealer) raw(n *node) (net.Conn, *visit) {
	addr, _, run := n.at()
	v := d.s.journal.visit(n, run, d.s.now())
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, v
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "GET /app/%s?protocol=7 HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", key, addr)
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil) //nolint:bodyclose // a handshake's response has none
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		_ = conn.Close()
		return nil, v
	}
	now := d.s.now()
	d.s.journal.note(func() { v.established = now })
	return conn, v
}

// masked is a client's frame, with a mask of zeros.
func masked(text string) []byte {
	head := []byte{0x81, 0x80 | byte(min(len(text), 126))}
	if len(text) >= 126 {
		head = append(head, byte(len(text)>>8), byte(len(text)))
	}
	return append(append(head, 0, 0, 0, 0), text...)
}
