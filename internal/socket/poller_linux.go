package socket

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller reads the descriptors of one flusher's connections, whichever has
// something, into one buffer. So a connection that is silent costs neither a
// goroutine nor a buffer.
type poller struct {
	set  int // of epoll
	file *os.File
	raw  syscall.RawConn // of file
	done chan struct{}

	mu    sync.Mutex // guards the following
	conns []*Conn    // by slot, which is what an event carries
	free  []int32    // slots without a connection

	// Owned by run.
	events [128]unix.EpollEvent
	ready  []*Conn // those of events
	buf    []byte
}

const (
	// pollBuffer is what is read from a connection before the next one has its
	// turn, in bytes.
	pollBuffer = 16 << 10
	// deflatedTurn is the same for a client that may compress, whose bytes can be
	// a thousand times as much work: many of them would keep others from being
	// heard for so long that they seem to be gone.
	deflatedTurn = 512
)

var errEnd = io.EOF

func newPoller() (*poller, error) {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll set: %w", err)
	}
	// An epoll set can itself be polled. As a non-blocking file, the runtime's
	// poller waits for it, and no thread has to.
	if err := unix.SetNonblock(set, true); err != nil {
		_ = unix.Close(set) // the error is known
		return nil, fmt.Errorf("making an epoll set: %w", err)
	}
	p := &poller{set: set, file: os.NewFile(uintptr(set), "epoll"), done: make(chan struct{}), buf: make([]byte, pollBuffer)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close() // as above
		return nil, fmt.Errorf("making an epoll set: %w", err)
	}
	go p.run()
	return p, nil
}

const (
	readable = unix.EPOLLIN | unix.EPOLLRDHUP
	writable = unix.EPOLLOUT
)

// link makes the link of c, which isn't read yet.
func (p *poller) link(fd int, c *Conn) *fdLink {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &fdLink{poller: p, conn: c, fd: fd, slot: int32(len(p.conns))}
	if n := len(p.free); n > 0 {
		l.slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		p.conns = append(p.conns, nil)
	}
	return l
}

// add begins to read.
func (p *poller) add(l *fdLink) error {
	p.mu.Lock() // what was done to the connection before is now run's to see
	p.conns[l.slot] = l.conn
	p.mu.Unlock()
	if err := p.control(unix.EPOLL_CTL_ADD, l, readable); err != nil {
		p.forget(l)
		return fmt.Errorf("adding a connection to the epoll set: %w", err)
	}
	return nil
}

func (p *poller) forget(l *fdLink) {
	p.mu.Lock()
	p.conns[l.slot] = nil
	p.free = append(p.free, l.slot)
	p.mu.Unlock()
}

// awaitWritable has the flusher told, once, when the link takes more. An error
// means that it isn't read yet, or no longer: the flusher tries again by itself
// every so often.
func (p *poller) awaitWritable(l *fdLink) { _ = p.control(unix.EPOLL_CTL_MOD, l, readable|writable) }

func (p *poller) control(op int, l *fdLink, events uint32) error {
	return unix.EpollCtl(p.set, op, l.fd, &unix.EpollEvent{Events: events, Fd: l.slot})
}

// stop ends the poller. No connection is left.
func (p *poller) stop() {
	_ = p.file.Close() // ends run
	<-p.done
}

func (p *poller) run() {
	defer close(p.done)
	n := 0
	// Not to wait in epoll_wait lets the runtime do so. It is told of changes,
	// so all that is ready must be taken before.
	ready := func(set uintptr) bool {
		n = p.poll(set)
		return n > 0
	}
	for p.raw.Read(ready) == nil {
		p.mu.Lock()
		for _, e := range p.events[:n] {
			p.ready = append(p.ready, p.conns[e.Fd]) // no other event of this batch is for them
		}
		p.mu.Unlock()
		now := clock()
		for i, c := range p.ready {
			p.serve(c, p.events[i].Events, now)
		}
		clear(p.ready)
		p.ready = p.ready[:0]
	}
}

// poll fills events and returns how many there are. It is a raw system call, as
// fdLink.write's.
func (p *poller) poll(set uintptr) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, set,
		uintptr(unsafe.Pointer(&p.events)), uintptr(len(p.events)), 0, 0, 0)
	if errno != 0 { // EINTR
		return 0
	}
	return int(n)
}

func (p *poller) serve(c *Conn, events uint32, now int64) {
	l := c.link.(*fdLink)
	if events&writable != 0 {
		_ = p.control(unix.EPOLL_CTL_MOD, l, readable) // it is there
		c.flusher.push(work{op: opWritable, conn: c})
	}
	if events&^writable == 0 {
		return
	}
	buf := p.buf
	if c.deflates {
		buf = buf[:deflatedTurn]
	}
	n, err := l.read(buf)
	if n > 0 {
		c.heard.Store(now)
		c.receive(p.buf[:n])
	}
	if err == nil {
		return
	}
	_ = p.control(unix.EPOLL_CTL_DEL, l, 0) // it is there
	p.forget(l)
	c.end()
}
