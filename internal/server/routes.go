package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// publicRoutes are what clients and APIs reach, all behind the configured
// path. Each has its name, which is the metric's label.
func (s *Server) publicRoutes() http.Handler {
	mux := http.NewServeMux()
	base := s.cfg.Path
	route := func(name, pattern string, h http.HandlerFunc, methods ...string) {
		mux.Handle(base+pattern, s.counted(name, allow(h, methods...)))
	}
	mux.Handle(base+"/app/{key}", allow(s.connect, http.MethodGet))
	route("events", "/apps/{id}/events", s.signed(s.postEvents), http.MethodPost)
	route("batch_events", "/apps/{id}/batch_events", s.signed(s.postBatch), http.MethodPost)
	if s.api != nil {
		route("auth", s.cfg.Auth.Path, s.authEndpoint, http.MethodPost, http.MethodOptions)
		route("auth", s.cfg.Auth.Path+"/{key}", s.authEndpoint, http.MethodPost, http.MethodOptions)
	}
	s.healthRoutes(route)
	route("other", "/", notFound)
	if base != "" {
		mux.Handle("/", s.counted("other", http.HandlerFunc(notFound)))
	}
	return mux
}

// adminRoutes are for the operator.
func (s *Server) adminRoutes(reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	route := func(_, pattern string, h http.HandlerFunc, methods ...string) {
		mux.Handle(pattern, allow(h, methods...))
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	s.healthRoutes(route)
	return mux
}

func (s *Server) healthRoutes(route func(name, pattern string, h http.HandlerFunc, methods ...string)) {
	route("health", "/up", s.up, http.MethodGet, http.MethodHead)
	route("health", "/healthz", s.up, http.MethodGet, http.MethodHead)
	route("health", "/readyz", s.ready, http.MethodGet, http.MethodHead)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, fmt.Sprintf(
		"nothing is at %.100q; clients connect to {path}/app/{key}, events are posted to {path}/apps/{id}/events (is the key path, or REVERB_SERVER_PATH, right?)", r.URL.Path))
}

// allow answers 405 to other methods; without methods it lets all pass.
func allow(h http.HandlerFunc, methods ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(methods) == 0 || slices.Contains(methods, r.Method) {
			h(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		writeError(w, http.StatusMethodNotAllowed, fmt.Sprintf("method %.20q is not allowed here", r.Method))
	})
}

// counted counts a route's answers by status.
func (s *Server) counted(route string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(rec, r)
		s.metrics.httpRequests.WithLabelValues(route, strconv.Itoa(rec.status)).Inc()
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the answers are read in terminals
	if err := enc.Encode(v); err != nil {
		status = http.StatusInternalServerError
		buf.Reset()
		buf.WriteString(`{"error":"the answer could not be encoded"}`)
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}

// writeError answers with one line of JSON: {"error": text}.
func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}
