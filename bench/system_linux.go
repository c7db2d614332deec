package main

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// poller tells which sockets have something to read, or are connected at last.
// All but wake is for one goroutine.
type poller struct {
	epoll, waker int
	events       [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll set: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("making an eventfd: %w", err)
	}
	p := &poller{epoll: epoll, waker: waker}
	if err := p.control(unix.EPOLL_CTL_ADD, waker, unix.EPOLLIN); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) control(op, fd int, events uint32) error {
	if err := unix.EpollCtl(p.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// watchConnect has wait report s once it is connected or has failed to.
func (p *poller) watchConnect(s socket) error {
	return p.control(unix.EPOLL_CTL_ADD, int(s), unix.EPOLLOUT)
}

// watchRead has wait report s, which was watched before, as long as there is
// something to read.
func (p *poller) watchRead(s socket) error {
	return p.control(unix.EPOLL_CTL_MOD, int(s), unix.EPOLLIN)
}

// ignore ends what was begun by the other two.
func (p *poller) ignore(s socket) error { return p.control(unix.EPOLL_CTL_DEL, int(s), 0) }

// wait returns when something has happened, or wake was called, and has called
// ready for each socket.
func (p *poller) wait(ready func(socket)) {
	n, err := unix.EpollWait(p.epoll, p.events[:], -1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		panic(err) // only a mistake of ours makes it fail
	}
	for _, e := range p.events[:max(n, 0)] {
		if e.Fd == int32(p.waker) {
			var count [8]byte
			_, _ = unix.Read(p.waker, count[:]) // that it was called is enough
		} else {
			ready(socket(e.Fd))
		}
	}
}

func (p *poller) wake() {
	_, _ = unix.Write(p.waker, []byte{7: 1}) // one of 2^63 calls is already pending if this fails
}

func (p *poller) close() {
	_ = unix.Close(p.epoll)
	_ = unix.Close(p.waker)
}

// socket is a TCP connection that never waits.
type socket int

// dialled counts sockets, for bindSpread.
var dialled atomic.Uint32

// bindSpread lets a client come from one of 250 addresses. With one for all,
// the kernel needs milliseconds to find a free port once half of them are taken.
func bindSpread(fd int) error {
	from := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + dialled.Add(1)%250)}}
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &from)
}

// dialSocket begins to connect; connected tells how it went.
func dialSocket(addr netip.AddrPort) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("making a socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && addr.Addr().IsLoopback() {
		err = bindSpread(fd)
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())})
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("connecting: %w", err)
	}
	return socket(fd), nil
}

func (s socket) connected() error {
	code, err := unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

// read returns errNothing when there is nothing yet, and 0 at the end.
func (s socket) read(b []byte) (int, error) {
	n, err := unix.Read(int(s), b)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, errNothing
	}
	return max(n, 0), err
}

// write writes all of b, or fails: the little that clients send always fits
// into the kernel's buffer.
func (s socket) write(b []byte) error {
	n, err := unix.Write(int(s), b)
	if err == nil && n < len(b) {
		err = errors.New("the daemon doesn't read")
	}
	return err
}

func (s socket) close() { _ = unix.Close(int(s)) } // nothing more is wanted of it

// cpuTime is what all threads of a process have used, in user and kernel mode.
func cpuTime(pid int) (time.Duration, error) {
	// The number of a process's clock: clock_getcpuclockid(3) makes it so.
	const schedClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// maxDescriptors is how many files, sockets among them, a process may have.
func maxDescriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Max, 1<<30))
}
