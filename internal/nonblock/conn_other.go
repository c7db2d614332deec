//go:build !linux

package nonblock

import "net"

// New returns conn as it is.
func New(conn net.Conn) net.Conn { return conn }
