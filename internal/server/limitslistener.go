package server

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bounded is a listener that gives each connection a place, and cuts those for
// which there is none: they have asked nothing yet, so an answer would cost more
// than they do.
type bounded struct {
	net.Listener
	server *Server
}

// Accept waits for nobody's PROXY header.
func (b bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn = b.server.admitted(conn.(stream)); conn != nil {
			return conn, nil
		}
	}
}

// stream is what every connection is that package net accepts.
type stream interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// admitted is the connection with a place, or nil if it was cut.
func (s *Server) admitted(conn stream) net.Conn {
	peer := parseAddress(conn.RemoteAddr().String())
	place, proxied := s.limits.enter(peer)
	if place == nil {
		s.cut(conn)
		return nil
	}
	held := &heldConn{stream: conn, place: place}
	if proxied {
		return s.newProxied(held)
	}
	return held
}

// cut ends a connection that has no place. Its client learns it at once, and the
// kernel need remember nothing.
func (s *Server) cut(conn net.Conn) {
	s.note(&refusal{label: "no_place", text: "there are too many connections, and too many of those over the limits (keys max_connections and max_connections_per_address)"})
	bare := conn
	if held, ok := conn.(*heldConn); ok {
		bare = held.stream
	}
	if l, ok := bare.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // it may be gone
	}
	_ = conn.Close() // as above
}

// heldConn gives its place back when it is closed.
type heldConn struct {
	stream
	place *place
	once  sync.Once
}

func (c *heldConn) Close() error {
	err := c.stream.Close()
	c.once.Do(c.place.leave)
	return err
}

// placed are connections that have a place.
type placed interface{ placeIn() *place }

func (c *heldConn) placeIn() *place { return c.place }

type placeKey struct{}

// withPlace lets a connection's requests find its place.
func withPlace(ctx context.Context, conn net.Conn) context.Context {
	for {
		switch c := conn.(type) {
		case placed:
			return context.WithValue(ctx, placeKey{}, c.placeIn())
		case interface{ NetConn() net.Conn }: // TLS
			conn = c.NetConn()
		default:
			return ctx
		}
	}
}

func placeOf(r *http.Request) *place { return r.Context().Value(placeKey{}).(*place) }

// retryAfter is when a client may ask again that was one too many.
const retryAfter = time.Second

// limited answers the requests of connections that are over the limits. Those
// for a WebSocket hear of it from connect. Others are answered all the same if it
// is the server that is full, or a crowd of clients would keep the API from
// publishing; but each needs a connection of its own.
func (s *Server) limited(h http.Handler) http.Handler {
	refused := s.counted("refused", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		writeError(w, http.StatusServiceUnavailable, overAddress.text)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch no := placeOf(r).serve(); {
		case no == nil, wantsSocket(r):
			h.ServeHTTP(w, r)
		case no == overTotal:
			w.Header().Set("Connection", "close")
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Connection", "close")
			refused.ServeHTTP(w, r)
		}
	})
}

func wantsSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// claim finds whose WebSocket it is going to be, and whether it may have one.
func (s *Server) claim(r *http.Request) *refusal {
	s.limits.mu.Lock()
	proxies := s.limits.proxies
	s.limits.mu.Unlock()
	return placeOf(r).claim(proxies.client(parseAddress(r.RemoteAddr), r.Header))
}
