package server

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const acceptPause = 50 * time.Millisecond

// accepting is how connections fare that come in, on all listeners.
type accepting struct {
	log    *slog.Logger
	seldom *seldom
	failed prometheus.Counter
}

// patient is a listener that outlasts a lack of descriptors or memory: clients wait
// in the kernel's queue meanwhile. net/http would log each try.
type patient struct {
	net.Listener
	accepting *accepting
}

func (l patient) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err == nil || !isShortage(err) {
			return conn, err
		}
		l.accepting.lacks(err)
		time.Sleep(acceptPause)
	}
}

func isShortage(err error) bool {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	return false
}

// lacks tells that a connection couldn't be taken.
func (a *accepting) lacks(err error) {
	a.failed.Inc()
	if a.seldom.due("accept") {
		a.log.Warn("no connection can be accepted until others end: raise the limit on open files (LimitNOFILE= of systemd, ulimit -n), or lower max_connections",
			"err", err)
	}
}
