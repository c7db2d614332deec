package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// inherit takes the sockets that systemd, or another parent, has passed on
// (LISTEN_FDS): that of admin.listen is named admin, the other one is the clients'.
// Those that were not passed are nil.
func inherit() (public, admin net.Listener, err error) {
	for _, f := range activation.Files(true) {
		l, failed := net.FileListener(f)
		_ = f.Close() // l has a copy
		into := &public
		if f.Name() == "admin" {
			into = &admin
		}
		switch {
		case failed != nil:
			err = errors.Join(err, fmt.Errorf("the socket %s, which this process was given, is not one to listen at: %w", f.Name(), failed))
		case *into != nil:
			_ = l.Close()
			err = errors.Join(err, fmt.Errorf("the socket %s, which this process was given, is one too many: there can be one for clients, and one named admin (FileDescriptorName=)", f.Name()))
		default:
			*into = l
		}
	}
	return public, admin, err
}

// supervisor is told by systemd's protocol what the process does, if it asked to be.
type supervisor struct{ log *slog.Logger }

func (s supervisor) notify(states ...string) {
	if _, err := sd.SdNotify(false, strings.Join(states, "\n")); err != nil {
		s.log.Warn("the supervisor could not be told what the daemon does (NOTIFY_SOCKET)", "err", err)
	}
}

func (s supervisor) ready()    { s.notify(sd.SdNotifyReady) }
func (s supervisor) stopping() { s.notify(sd.SdNotifyStopping) }

// reloading is followed by ready.
func (s supervisor) reloading() {
	states := []string{sd.SdNotifyReloading}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		states = append(states, fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
	}
	s.notify(states...)
}

// watchdog tells that the process runs, as often as WATCHDOG_USEC asks for, until
// ctx ends.
func (s supervisor) watchdog(ctx context.Context) {
	every, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("the supervisor's watchdog asks for something that is not understood", "err", err)
	}
	if every <= 0 {
		return
	}
	ticker := time.NewTicker(every / 2)
	defer ticker.Stop()
	for {
		s.notify(sd.SdNotifyWatchdog)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
