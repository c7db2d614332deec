package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"broadcastd/auth"
)

// apiError is an answer other than 200.
type apiError struct {
	status int
	reason string // metric label
	text   string
}

func (e *apiError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "bad_request", fmt.Sprintf(format, args...)}
}

// call is a request of the HTTP API whose signature holds.
type call struct {
	app    *app
	params map[string]string // of the query, as they were signed
	body   []byte
	path   func(name string) string // values in the path, unescaped
	header http.Header              // of the answer
}

// signed lets only requests through that are signed with the app's secret, and
// answers with what h returns: a JSON object, or an error. No cookie counts
// here, so every web page that has a signature may read the answer.
func (s *Server) signed(h func(c call) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		c, err := s.authenticate(w, r)
		var answer any
		if err == nil {
			answer, err = h(c)
		}
		if err == nil {
			writeJSON(w, http.StatusOK, answer)
			return
		}
		no, ok := errors.AsType[*apiError](err)
		if !ok {
			no = &apiError{http.StatusInternalServerError, "internal", "internal error"}
			s.log.Error("request failed", "err", err)
		}
		s.metrics.refusedRequests.WithLabelValues(no.reason).Inc()
		writeError(w, no.status, no.text)
	}
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (call, error) {
	id := r.PathValue("app_id")
	a := s.app(id)
	if a == nil {
		return call{}, &apiError{http.StatusNotFound, "app_not_found", fmt.Sprintf("no app has the id %.60q", id)}
	}
	limit := s.config().MaxRequestSize
	var body []byte
	params, err := auth.VerifyRequest(auth.SignedRequest{
		Method: r.Method, Path: r.URL.EscapedPath(), Prefix: s.cfg.Path, RawQuery: r.URL.RawQuery,
		Body: func() (_ []byte, err error) {
			body, err = readBody(w, r, int64(limit))
			return body, err
		},
	}, a.credentials(), time.Now())
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return call{}, &apiError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf(
			"the request's body is over %d bytes (key max_request_size)", limit)}
	}
	if no, ok := errors.AsType[*auth.Refusal](err); ok {
		return call{}, &apiError{no.Status, no.Reason, no.Message}
	}
	if err != nil {
		return call{}, badRequest("the request's body could not be read")
	}
	return call{app: a, params: params, body: body, path: r.PathValue, header: w.Header()}, nil
}

// trusted is the length of a body, in bytes, up to which memory is taken for it
// before it has arrived.
const trusted = 16 << 10

// readBody reads a request's body of up to limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > min(trusted, limit) {
		return io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}
