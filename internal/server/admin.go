package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// operatorRoutes are what the listener for metrics and health answers. All but
// health is for who has the token.
func (s *Server) operatorRoutes(reg *prometheus.Registry) []route {
	metrics := promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})
	own := []route{
		{method: http.MethodGet, pattern: "/metrics", handler: metrics.ServeHTTP},
		{method: http.MethodPost, pattern: "/reload", handler: s.postReload},
	}
	if s.cfg.Admin.Pprof {
		own = append(own, profileRoutes()...)
	}
	for i := range own {
		own[i].handler = s.forOperators(own[i].handler)
	}
	return append(s.healthRoutes(), own...)
}

// profileRoutes are those of `go tool pprof`.
func profileRoutes() []route {
	const get, path = http.MethodGet, "/debug/pprof/"
	return []route{
		{method: get, pattern: path, handler: pprof.Index},
		{method: get, pattern: path + "cmdline", handler: pprof.Cmdline},
		{method: get, pattern: path + "profile", handler: pprof.Profile},
		{method: get, pattern: path + "symbol", handler: pprof.Symbol},
		{method: get, pattern: path + "trace", handler: pprof.Trace},
	}
}

func (s *Server) adminRoutes(reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range s.operatorRoutes(reg) {
		mux.Handle(rt.pattern, rt)
	}
	return withSafeHeaders(mux)
}

// forOperators demands admin.token as a bearer. Where there is none, who reaches
// the address may ask, but not a web page that an operator has open: neither by
// a request to another origin nor by a name that it makes lead here.
func (s *Server) forOperators(h http.HandlerFunc) http.HandlerFunc {
	token := s.cfg.Admin.Token
	if token == "" {
		return func(w http.ResponseWriter, r *http.Request) {
			if isFromPage(r.Header) || !isLoopback(r.Host) {
				writeError(w, http.StatusForbidden, "without admin.token the admin listener is for this machine's own programs, not for web pages, and goes by the names 127.0.0.1, [::1] and localhost")
				return
			}
			h(w, r)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !sameSecret(given, token) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, http.StatusUnauthorized, "the admin listener wants Authorization: Bearer with the token of the key admin.token")
			return
		}
		h(w, r)
	}
}

// isFromPage reports whether a browser asks, other than for its user.
func isFromPage(h http.Header) bool {
	site := h.Get("Sec-Fetch-Site")
	return h.Get("Origin") != "" || site != "" && site != "none"
}

// isLoopback tells a request's host, with or without a port.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// sameSecret compares in a time that tells neither length nor content.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
