package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
	"broadcastd/internal/config"
)

// Routes lists what both listeners answer, as "METHOD pattern".
func (s *Server) Routes() []string {
	var all []string
	for _, rt := range append(s.routes(), s.operatorRoutes(prometheus.NewRegistry())...) {
		all = append(all, rt.method+" "+rt.pattern)
	}
	return all
}

// Break makes subscribing to an app's channels panic. No client is there yet.
func (s *Server) Break(appID string) {
	s.closeMu.Lock() // as whoever connects does
	defer s.closeMu.Unlock()
	s.app(appID).hub = &channels.Hub{}
}

// AllDue has the API asked again about everything, as soon as it may be.
func (s *Server) AllDue() {
	s.again.mu.Lock()
	defer s.again.mu.Unlock()
	for _, c := range s.again.queue {
		c.due = time.Time{}
	}
}

// Connections counts those of an app that may be gone.
func (s *Server) Connections(appID string) int64 {
	for _, a := range s.everyApp() {
		if a.id == appID {
			return a.connections.Load()
		}
	}
	return 0
}

// EndListener is what Drain does with the clients' listener.
func EndListener(l net.Listener, inherited bool) net.Listener {
	f := &front{Listener: l, inherited: inherited}
	f.stop()
	return f
}

// LookAtCertificates does at once what is done now and then.
func (s *Server) LookAtCertificates(warned bool) bool { return s.certs.look(warned) }

// BreakHandshakes makes connecting to an app panic. No client is there yet.
func (s *Server) BreakHandshakes(appID string) {
	s.closeMu.Lock() // as whoever connects does
	defer s.closeMu.Unlock()
	a := s.app(appID)
	a.current.Store(&settings{a.settings().App, nil})
}

// Handler answers clients and APIs, each request as one of a connection of its own.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place, _ := s.limits.enter(netip.Addr{})
		defer place.leave()
		s.public.Handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), placeKey{}, place)))
	})
}

// ClientAddress is whose request it is that peer passes on.
func ClientAddress(trusted []netip.Prefix, peer netip.Addr, header http.Header) netip.Addr {
	return proxies(trusted).client(peer, header)
}

// MostConnections is how many of so many descriptors are for connections.
func MostConnections(c *config.Config, descriptors int) (int, error) {
	return mostConnections(c, descriptors)
}

// SetLimits changes the limits of a server that runs.
func (s *Server) SetLimits(c *config.Config) error { return s.limits.set(c) }

// Addresses are how many addresses are counted.
func (s *Server) Addresses() int {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	return len(s.limits.addresses)
}

// MaxSpare is how many connections over a limit are told so.
const MaxSpare = maxSpare
