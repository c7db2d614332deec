package server

import (
	"errors"
	"net/http"
	"runtime/debug"
)

// recovered is to be deferred itself: a bug ends what it is in, which after does, and
// nothing else. What flushers, pollers and the cluster do is not in its reach: after a
// panic there nothing they own could be trusted, and the process ends.
func (s *Server) recovered(place string, after func()) {
	v := recover()
	if v == nil {
		return
	}
	s.panicked(place, v)
	after()
}

// panicked counts and logs a panic, in one line with its stack.
func (s *Server) panicked(place string, v any) {
	s.metrics.panics.WithLabelValues(place).Inc()
	if s.seldom.due("panic " + place) {
		s.log.Error("a bug: something panicked, and only that ended; further ones within a minute are only counted",
			"place", place, "panic", v, "stack", string(debug.Stack()))
	}
}

// Places that a panic is counted for.
const (
	placeMessage   = "message"   // of a client
	placeEnd       = "end"       // of a client's connection
	placeAuthorise = "authorise" // by the API
	placeRequest   = "request"   // by HTTP, handshakes too
	placeEvent     = "event"     // from Redis
)

var errPanicked = errors.New("a bug: it panicked, as the log tells")

// guarded cuts the connection of a request that panicked, as net/http does, which
// would log each.
func (s *Server) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			s.panicked(placeRequest, v)
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(w, r)
	})
}
