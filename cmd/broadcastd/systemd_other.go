//go:build !linux

package main

import (
	"context"
	"log/slog"
	"net"
)

// There is systemd on Linux only.

func inherit() (public, admin net.Listener, err error) { return nil, nil, nil }

type supervisor struct{ log *slog.Logger }

func (supervisor) ready()                   {}
func (supervisor) stopping()                {}
func (supervisor) reloading()               {}
func (supervisor) watchdog(context.Context) {}
