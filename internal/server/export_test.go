package server

import "github.com/prometheus/client_golang/prometheus"

// Routes lists what both listeners answer, as "METHOD pattern".
func (s *Server) Routes() []string {
	var all []string
	for _, rt := range append(s.routes(), s.operatorRoutes(prometheus.NewRegistry())...) {
		all = append(all, rt.method+" "+rt.pattern)
	}
	return all
}
