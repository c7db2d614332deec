package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"broadcastd/internal/socket"
	"broadcastd/protocol"
)

// refusal is why a client may not connect. Label is the metric's.
type refusal struct {
	label string
	code  protocol.CloseCode
	text  string
}

// connect serves GET {path}/app/{key}: the handshake, after which the session
// lives by itself.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		writeError(w, http.StatusServiceUnavailable, "the server is shutting down")
		return
	}
	var a *app
	var leave func()
	counted := false // by arrive
	defer s.unbegun(func() {
		if counted {
			a.depart(leave)
		}
	})
	a, no := s.admit(r)
	if no == nil {
		no = s.claim(r)
	}
	if no == nil {
		leave, no = s.arrive(r.Context(), a)
		counted = no == nil
	}
	if no != nil {
		s.refuse(w, r, no)
		return
	}
	id := protocol.NewSocketID(rand.Uint64())
	s.again.expect(id, a)
	c := a.settings()
	conn := s.upgrade(w, r, id, protocol.Established(id, int(c.ActivityTimeout/time.Second)), c.limits)
	if conn == nil {
		a.depart(leave)
		s.again.forget(id)
		return
	}
	s.metrics.connections.WithLabelValues(a.id).Inc()
	if a.gone.Load() {
		conn.Close(socket.ReasonRemoved) // Reload may have missed it
	}
	s.start(conn, newSession(s, a, conn, r, leave))
}

// unbegun is to be deferred itself, once enter has said yes: after a panic there will be
// no session, and none is waited for.
func (s *Server) unbegun(after func()) {
	if v := recover(); v != nil {
		after()
		s.sessions.Done()
		panic(v)
	}
}

// upgrade holds the connection's place. It returns nil if it failed, and has then
// answered, dropped the place, and ended what enter began.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, id protocol.SocketID, greeting protocol.Frame, limits *socket.Limits) (conn *socket.Conn) {
	place := placeOf(r)
	place.hold()
	defer func() {
		if conn == nil { // also if it panicked
			place.drop()
		}
	}()
	conn, err := s.flushers.Upgrade(w, r, id, greeting, limits)
	if err != nil {
		if isShortage(err) { // it was accepted with the last descriptor, and needs another
			s.accepting.lacks(err)
		}
		s.metrics.refusedConnections.WithLabelValues("no_handshake").Inc()
		s.sessions.Done()
		return nil
	}
	return conn
}

// start lets the connection's client be heard until its end.
func (s *Server) start(conn *socket.Conn, h socket.Handler) {
	if s.ctx.Err() != nil {
		conn.Close(s.goodbye()) // Shutdown may have missed it
	}
	if err := conn.Start(h); err != nil {
		s.log.Error("a connection was cut, since it cannot be read", "err", err)
		h.End(socket.ReasonLost)
	}
}

// admit finds the app.
func (s *Server) admit(r *http.Request) (*app, *refusal) {
	a := s.appOfKey(r.PathValue("key"))
	if a == nil {
		return nil, &refusal{"app_not_found", protocol.CloseAppNotFound, "no app has this key"}
	}
	if no := checkVersion(r.URL.Query().Get("protocol")); no != nil {
		return nil, no
	}
	if origin := r.Header.Get("Origin"); !a.settings().allows(origin) {
		return nil, &refusal{"origin", protocol.CloseUnauthorized, fmt.Sprintf("origin %.100q is not among the app's allowed_origins", origin)}
	}
	return a, nil
}

// arrive counts a connection, or refuses it. leave is what depart needs.
func (s *Server) arrive(ctx context.Context, a *app) (leave func(), no *refusal) {
	n := int(a.connections.Add(1))
	if a.cluster != nil {
		leave, n = s.arriveInCluster(ctx, a, n)
	}
	if max := a.settings().MaxConnections; max > 0 && n > max {
		a.depart(leave)
		return nil, &refusal{"over_capacity", protocol.CloseOverCapacity, "the app is over its connection quota"}
	}
	return leave, nil
}

// depart takes back that a connection was counted.
func (a *app) depart(leave func()) {
	a.connections.Add(-1)
	if leave != nil {
		leave()
	}
}

func checkVersion(version string) *refusal {
	if version == "" {
		return &refusal{"no_protocol", protocol.CloseNoProtocol, "no protocol version was given; say ?protocol=7"}
	}
	n, err := strconv.Atoi(version)
	if err != nil {
		return &refusal{"invalid_version", protocol.CloseInvalidVersion, "the protocol version is not a number; say ?protocol=7"}
	}
	if n < 5 || n > 7 {
		return &refusal{"unsupported_protocol", protocol.CloseUnsupportedProtocol, fmt.Sprintf("protocol version %d is not supported; 5, 6 and 7 are", n)}
	}
	return nil
}

// refusedLimits are for connections that only get to hear why they end.
var refusedLimits = &socket.Limits{
	MaxMessageSize: 1 << 10, MaxOutbox: 1 << 10,
	PingInterval: time.Minute, PongTimeout: time.Minute,
}

// refuse completes the handshake, since only then a browser's client learns
// why: by a pusher:error, and by the close code after it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	conn := s.upgrade(w, r, 0, protocol.Error(no.code, no.text), refusedLimits)
	if conn == nil {
		return
	}
	s.note(no)
	conn.Close(&socket.Reason{Label: socket.ReasonRefused.Label, Code: no.code, Text: no.text})
	s.start(conn, refused{s, placeOf(r)})
}

// note counts a refused connection, and logs the first for each reason.
func (s *Server) note(no *refusal) {
	s.metrics.refusedConnections.WithLabelValues(no.label).Inc()
	if _, seen := s.refusals.LoadOrStore(no.label, true); !seen {
		s.log.Warn("connection refused; further ones for this reason are only counted", "reason", no.label, "err", no.text)
	}
}

// refused is the session of a client that was turned away.
type refused struct {
	server *Server
	place  *place
}

func (refused) Message([]byte) {}

func (r refused) End(*socket.Reason) {
	r.place.drop()
	r.server.sessions.Done()
}
