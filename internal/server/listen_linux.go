package server

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sharePort lets other processes of the same user listen at the same address.
func sharePort(c syscall.RawConn) error {
	var inner error
	err := c.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, inner)
}

// acceptWaiting accepts a connection if one waits, whatever the listener's deadline.
func acceptWaiting(l net.Listener) net.Conn {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	var accepted int
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			accepted, _, failed = unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if failed != unix.EINTR && failed != unix.ECONNABORTED {
				return
			}
		}
	})
	if err != nil || failed != nil {
		return nil
	}
	file := os.NewFile(uintptr(accepted), "")
	defer func() { _ = file.Close() }() // the connection has a copy
	conn, err := net.FileConn(file)
	if err != nil {
		return nil
	}
	return conn
}
