//go:build !linux

package socket

import (
	"net"
	"syscall"
)

// sender has no non-blocking write here: every connection is written to by
// catchUp.
type sender struct{}

func rawConn(net.Conn) syscall.RawConn { return nil }

func (*sender) send(syscall.RawConn, []byte) (int, error) { return 0, errWouldBlock }
