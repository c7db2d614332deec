package main

import (
	"net/netip"
	"sync"
	"time"
)

// loop is one goroutine that reads for many clients, out of one buffer: a
// delivery costs the load little more than the system call that reads it.
type loop struct {
	poller   *poller
	ended    chan struct{}
	lost     chan<- error // a client's connection broke; one is kept
	buffer   []byte
	inflater inflater
	clients  map[socket]*client
	tally    *tally // of the present load, or nil
	received int    // bytes

	mu    sync.Mutex
	tasks []func()
	stop  bool
}

func startLoop(lost chan<- error) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{
		poller: p, ended: make(chan struct{}), lost: lost,
		buffer: make([]byte, 2*maxPayload), clients: map[socket]*client{},
	}
	go l.run()
	return l, nil
}

func (l *loop) run() {
	defer close(l.ended)
	for {
		l.poller.wait(l.ready)
		l.mu.Lock()
		tasks, stop := l.tasks, l.stop
		l.tasks = nil
		l.mu.Unlock()
		for _, task := range tasks {
			task()
		}
		if stop {
			return
		}
	}
}

func (l *loop) ready(s socket) {
	if c := l.clients[s]; c != nil {
		if err := c.advance(); err != nil {
			c.end(err)
		}
	}
}

// do has the loop call task, soon.
func (l *loop) do(task func()) {
	l.mu.Lock()
	l.tasks = append(l.tasks, task)
	l.mu.Unlock()
	l.poller.wake()
}

// call is do that waits for the task's end.
func (l *loop) call(task func()) {
	done := make(chan struct{})
	l.do(func() { task(); close(done) })
	<-done
}

// close cuts all connections.
func (l *loop) close() {
	l.mu.Lock()
	l.stop = true
	l.mu.Unlock()
	l.poller.wake()
	<-l.ended
	l.poller.close()
	for s := range l.clients {
		s.close()
	}
}

// start dials.
func (l *loop) start(c *client, addr netip.AddrPort) {
	c.loop, c.began = l, time.Now()
	sock, err := dialSocket(addr)
	if err != nil {
		c.settle(err)
		return
	}
	c.sock = sock
	l.clients[sock] = c
	if err := l.poller.watchConnect(sock); err != nil {
		c.end(err)
	}
}

func (l *loop) forget(c *client) { delete(l.clients, c.sock) }

// lose keeps the first error that nobody waits for.
func (l *loop) lose(err error) {
	select {
	case l.lost <- err:
	default:
	}
}
