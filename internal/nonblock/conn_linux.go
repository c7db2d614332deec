package nonblock

import (
	"errors"
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection whose Read and Write are those of net.Conn, except
// that only one goroutine at a time may read, and one write.
type Conn struct {
	*net.TCPConn
	raw         syscall.RawConn
	read, write transfer
}

// New wraps conn if it is plain TCP, and returns others as they are.
func New(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn // it is closed already, as its user will find
	}
	c := &Conn{TCPConn: tcp, raw: raw}
	c.read.once, c.write.once = c.read.receive, c.write.send
	return c
}

func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.read.run(c, "read", p, c.raw.Read)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *Conn) Write(p []byte) (int, error) {
	return c.write.run(c, "write", p, c.raw.Write)
}

// transfer is one direction of a connection.
type transfer struct {
	once func(fd uintptr) (over bool) // receive or send; held here so that a call allocates nothing

	// Of the call under way.
	rest  []byte
	n     int
	errno syscall.Errno
}

// run calls t.once whenever wait finds the connection ready, until it is over.
func (t *transfer) run(c *Conn, op string, p []byte, wait func(func(uintptr) bool) error) (int, error) {
	t.rest, t.n, t.errno = p, 0, 0
	err := wait(t.once)
	t.rest = nil
	switch failed, ok := errors.AsType[*net.OpError](err); {
	case ok:
		failed.Op = op // package net says raw-read and raw-write
	case t.errno != 0:
		err = &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: t.errno}
	}
	return t.n, err
}

func (t *transfer) receive(fd uintptr) (over bool) {
	return t.call(unix.SYS_RECVFROM, fd, unix.MSG_DONTWAIT)
}

func (t *transfer) send(fd uintptr) (over bool) {
	for t.call(unix.SYS_SENDTO, fd, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) {
		if t.errno != 0 || len(t.rest) == 0 {
			return true
		}
	}
	return false
}

// call makes one system call; false means that it would have had to wait.
func (t *transfer) call(trap, fd, flags uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(trap, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(t.rest))), uintptr(len(t.rest)), flags, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case 0:
			t.n += int(n)
			t.rest = t.rest[n:]
		default:
			t.errno = errno
		}
		return true
	}
}
