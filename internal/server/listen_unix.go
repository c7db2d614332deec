//go:build unix

package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// sendBuffer bounds what the kernel takes for a client that has stopped
// reading, in bytes, so that it is noticed within seconds; left alone, Linux
// takes megabytes. Accepted connections inherit it. The kernel doubles it for
// its own bookkeeping.
const sendBuffer = 128 << 10

func boundSending(c syscall.RawConn) error {
	var inner error
	err := c.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	})
	if err != nil {
		return err
	}
	return inner
}
