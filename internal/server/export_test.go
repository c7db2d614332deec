package server

import (
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
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

// Handler answers clients and APIs.
func (s *Server) Handler() http.Handler { return s.public.Handler }
