package cluster_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between one node and Redis, to cut that node off.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	mode  string
	still chan struct{} // closed: what hangs goes on
	conns map[net.Conn]struct{}
}

// The ways of a proxy.
const (
	passes  = "passes"
	drops   = "drops" // connections end, new ones too
	hangs   = "hangs" // connections stay open and say nothing
	severed = ""      // for good
)

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, mode: passes, still: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(p.still)
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.set(severed)
	})
	return p
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() }

// set changes the proxy's way.
func (p *proxy) set(mode string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == hangs && mode != hangs {
		close(p.still)
	}
	if p.mode != hangs && mode == hangs {
		p.still = make(chan struct{})
	}
	p.mode = mode
	if mode == drops || mode == severed {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *proxy) serve(client net.Conn) {
	defer p.close(client)
	if !p.take(client) {
		return
	}
	p.wait()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.close(server)
	if !p.take(server) {
		return
	}
	go p.copy(server, client)
	p.copy(client, server)
}

// take notes a connection, unless it is to be dropped.
func (p *proxy) take(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return p.mode == passes || p.mode == hangs
}

func (p *proxy) close(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// wait lasts as long as everything hangs.
func (p *proxy) wait() {
	p.mu.Lock()
	still := p.still
	p.mu.Unlock()
	<-still
}

// copy ends both with the first that ends.
func (p *proxy) copy(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.wait()
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = io.Copy(io.Discard, from)
}
