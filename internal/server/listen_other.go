//go:build !unix

package server

import "syscall"

func boundSending(syscall.RawConn) error { return nil }
