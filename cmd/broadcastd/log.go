package main

import (
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/internal/logqueue"
	"broadcastd/internal/server"
)

// logTime bounds the wait at the end for what takes the log.
const logTime = time.Second

// newLog has on make the log that goes to stderr by way of out, which the caller closes.
// Go ends a process that writes to a stderr whose reader is gone, unless SIGPIPE is
// ignored.
func newLog(stderr io.Writer, on func(io.Writer) *slog.Logger) (out *logqueue.Writer, log *slog.Logger) {
	signal.Ignore(syscall.SIGPIPE)
	out = logqueue.New(stderr, func(lines int64, err error) {
		attrs := []any{"lines", lines}
		if err != nil {
			attrs = append(attrs, "err", err)
		}
		log.Warn("log lines were lost: stderr took no more, see what reads it or the disk that it is on", attrs...)
	})
	log = on(out)
	return out, log
}

// watchLog shows lost lines where the log can't.
func watchLog(out *logqueue.Writer, srv *server.Server, reg prometheus.Registerer) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "broadcastd_log_dropped_total", Help: "Lines of the log that were lost, since stderr took no more.",
	}, func() float64 { return float64(out.Dropped()) }))
	srv.AddCheck(server.Check{Name: "log", Notice: true, Err: func() error {
		if lines := out.Untold(); lines > 0 {
			return fmt.Errorf("%d lines of the log were lost: stderr takes no more, see what reads it or the disk that it is on", lines)
		}
		return nil
	}})
}
