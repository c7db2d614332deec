//go:build !linux

package main

import (
	"errors"
	"net/netip"
	"time"
)

var errSystem = errors.New("the load needs Linux: epoll, and another process's clock and memory")

// What system_linux.go explains. Without a poller nothing else is reached.
type (
	poller struct{}
	socket int
)

func newPoller() (*poller, error)               { return nil, errSystem }
func (*poller) watchConnect(socket) error       { return errSystem }
func (*poller) watchRead(socket) error          { return errSystem }
func (*poller) ignore(socket) error             { return errSystem }
func (*poller) wait(func(socket))               {}
func (*poller) wake()                           {}
func (*poller) close()                          {}
func dialSocket(netip.AddrPort) (socket, error) { return 0, errSystem }
func (socket) connected() error                 { return errSystem }
func (socket) read([]byte) (int, error)         { return 0, errSystem }
func (socket) write([]byte) error               { return errSystem }
func (socket) close()                           {}
func cpuTime(int) (time.Duration, error)        { return 0, errSystem }
func maxDescriptors() int                       { return 0 }
