//go:build !linux

package server

import (
	"net"
	"syscall"
)

// sharePort is not to be had here: see config.Validate.
func sharePort(syscall.RawConn) error { return nil }

func acceptWaiting(net.Listener) net.Conn { return nil }
