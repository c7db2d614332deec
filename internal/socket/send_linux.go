package socket

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sender makes one non-blocking write. Its callback is made once, so that a
// write allocates nothing.
type sender struct {
	buf   []byte
	n     int
	errno syscall.Errno
	call  func(fd uintptr)
}

// rawConn returns what sender needs of a connection, or nil if it has to be
// written to in another way.
func rawConn(nc net.Conn) syscall.RawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// send writes what the kernel takes of b. Control is used rather than
// RawConn.Write, which would wait for a blocking write under way; and a raw
// system call, since one that doesn't block need not tell Go's scheduler.
func (s *sender) send(raw syscall.RawConn, b []byte) (int, error) {
	if s.call == nil {
		s.call = func(fd uintptr) {
			n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd,
				uintptr(unsafe.Pointer(unsafe.SliceData(s.buf))), uintptr(len(s.buf)),
				unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
			s.n, s.errno = int(n), errno
		}
	}
	s.buf = b
	err := raw.Control(s.call)
	s.buf = nil
	switch {
	case err != nil:
		return 0, err
	case s.errno == unix.EAGAIN:
		return 0, errWouldBlock
	case s.errno == unix.EINTR:
		return 0, errWouldBlock
	case s.errno != 0:
		return 0, s.errno
	}
	return s.n, nil
}
