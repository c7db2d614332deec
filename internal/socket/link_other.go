//go:build !linux

package socket

import "net"

// newLink takes a connection over.
func newLink(nc net.Conn, c *Conn) (link, error) { return &netLink{nc: nc, conn: c}, nil }

// poller reads nothing here: each connection has a goroutine that does.
type poller struct{}

func newPoller() (*poller, error) { return &poller{}, nil }

func (*poller) stop() {}
