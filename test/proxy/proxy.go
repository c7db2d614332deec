// Package proxy lets tests cut a node off from Redis.
package proxy

import (
	"io"
	"net"
	"sync"
)

// Mode is what a proxy does with connections.
type Mode string

// The modes of a proxy. The first one is that of a new one.
const (
	Passes  Mode = "passes"
	Drops   Mode = "drops" // connections end, new ones too
	Hangs   Mode = "hangs" // connections stay open and say nothing
	severed Mode = ""      // for good
)

// Proxy stands between one node and Redis. Its methods may be called by any
// goroutine.
type Proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	mode  Mode
	still chan struct{} // closed: what hangs goes on
	conns map[net.Conn]struct{}
}

// New listens on a port of 127.0.0.1, and passes on to host:port.
func New(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, mode: Passes, still: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(p.still)
	go p.accept()
	return p, nil
}

// Close ends the proxy and all that goes through it.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Set(severed)
}

// URL is that of Redis by way of the proxy.
func (p *Proxy) URL() string { return "redis://" + p.listener.Addr().String() }

// Set changes the mode.
func (p *Proxy) Set(mode Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == Hangs && mode != Hangs {
		close(p.still)
	}
	if p.mode != Hangs && mode == Hangs {
		p.still = make(chan struct{})
	}
	p.mode = mode
	if mode == Drops || mode == severed {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.end(client)
	if !p.take(client) {
		return
	}
	p.wait()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.end(server)
	if !p.take(server) {
		return
	}
	go p.copy(server, client)
	p.copy(client, server)
}

// take notes a connection, unless it is to be dropped.
func (p *Proxy) take(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return p.mode == Passes || p.mode == Hangs
}

func (p *Proxy) end(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// wait lasts as long as everything hangs.
func (p *Proxy) wait() {
	p.mu.Lock()
	still := p.still
	p.mu.Unlock()
	<-still
}

// copy ends both with the first that ends.
func (p *Proxy) copy(to, from net.Conn) {
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
