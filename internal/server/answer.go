package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// counted counts a route's answers by status.
func (s *Server) counted(route string, h http.Handler) http.Handler {
	requests := s.metrics.httpRequests.MustCurryWith(prometheus.Labels{"route": route})
	succeeded := requests.WithLabelValues(strconv.Itoa(http.StatusOK)) // most are
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.underWay.Add(1)
		defer s.underWay.Add(-1)
		if s.listener.ended.Load() {
			w.Header().Set("Connection", "close") // the next request goes elsewhere
		}
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if rec.status == http.StatusOK {
				succeeded.Inc()
			} else {
				requests.WithLabelValues(strconv.Itoa(rec.status)).Inc()
			}
		}()
		defer s.recovered(placeRequest, func() {
			writeError(rec, http.StatusInternalServerError, "the server has a bug, which its log tells of")
		})
		h.ServeHTTP(rec, r)
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
