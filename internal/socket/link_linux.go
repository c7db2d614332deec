package socket

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fdLink is a TCP connection's descriptor, which is not in the Go runtime's
// poller but in that of the connection's flusher. Only the flusher writes and
// closes it, only the poller reads it; and the flusher closes it once the
// poller has let go of it, so that neither can meet another connection under
// the same number.
type fdLink struct {
	poller *poller
	conn   *Conn
	fd     int
	slot   int32 // in the poller
}

// newLink takes a connection over.
func newLink(nc net.Conn, c *Conn) (link, error) {
	plain, ok := nc.(syscall.Conn) // TLS is none
	if !ok {
		return &netLink{nc: nc, conn: c}, nil
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return nil, err
	}
	own := -1
	var dupErr error
	err = raw.Control(func(fd uintptr) { own, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = dupErr
	}
	if err != nil {
		return nil, fmt.Errorf("taking a connection's descriptor: %w", err)
	}
	_ = nc.Close() // the socket lives on in ours
	return c.flusher.poller.link(own, c), nil
}

func (l *fdLink) start() error { return l.poller.add(l) }

// write makes a raw system call: one that doesn't block need not tell Go's
// scheduler.
func (l *fdLink) write(b []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(l.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	switch {
	case errno == unix.EAGAIN, errno == unix.EINTR:
		n = 0
	case errno != 0:
		return 0, errno
	}
	if int(n) < len(b) {
		l.poller.awaitWritable(l)
		return int(n), errWouldBlock
	}
	return int(n), nil
}

// read returns 0 and no error where nothing is to be had now.
func (l *fdLink) read(b []byte) (n int, err error) {
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(l.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN, errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, os.NewSyscallError("recvfrom", errno)
	case r == 0:
		return 0, errEnd
	}
	return int(r), nil
}

func (l *fdLink) idle() bool { return true }

// Errors of the following would mean that the peer is gone already.

func (l *fdLink) finish()  { _ = unix.Shutdown(l.fd, unix.SHUT_WR) }
func (l *fdLink) cut()     { _ = unix.Shutdown(l.fd, unix.SHUT_RDWR) }
func (l *fdLink) release() { _ = unix.Close(l.fd) }
