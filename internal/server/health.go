package server

import (
	"net/http"
)

// Check is something that readiness depends on or reports.
type Check struct {
	Name string
	// Required takes readiness down; otherwise a failure only shows as
	// "degraded".
	Required bool
	// Notice: what Err tells is past, so it is shown and the status stays.
	Notice bool
	// Err is nil while all is well.
	Err func() error
}

// AddCheck makes readiness tell of c.
func (s *Server) AddCheck(c Check) {
	s.checksMu.Lock()
	defer s.checksMu.Unlock()
	s.checks = append(s.checks, c)
}

// up is Reverb's health check: the process answers.
func (s *Server) up(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"health": "OK"})
}

// ready answers 200 while clients should be sent here, and 503 with reasons
// otherwise: {"status": "ready"|"degraded"|"unavailable", "reasons": {check: text},
// "notices": {check: text}}.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Status  string            `json:"status"`
		Reasons map[string]string `json:"reasons,omitempty"`
		Notices map[string]string `json:"notices,omitempty"`
	}{Status: "ready", Reasons: map[string]string{}, Notices: map[string]string{}}
	code := http.StatusOK
	if s.leavingSoon.Load() {
		code = http.StatusServiceUnavailable
		answer.Reasons["shutdown"] = "the server is shutting down"
	}
	s.checksMu.Lock()
	checks := s.checks
	s.checksMu.Unlock()
	for _, c := range checks {
		err := c.Err()
		if err == nil {
			continue
		}
		if c.Notice {
			answer.Notices[c.Name] = err.Error()
			continue
		}
		answer.Reasons[c.Name] = err.Error()
		answer.Status = "degraded"
		if c.Required {
			code = http.StatusServiceUnavailable
		}
	}
	if code != http.StatusOK {
		answer.Status = "unavailable"
	}
	writeJSON(w, code, answer)
}
