package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// Limits of the HTTP API, as in Pusher's.
const (
	maxChannels = 100
	maxBatch    = 10
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

// signed lets only requests through that are signed with the app's secret, and
// answers with what h returns: a JSON object, or an error.
func (s *Server) signed(h func(a *app, body []byte) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, body, err := s.authenticate(w, r)
		var answer any
		if err == nil {
			answer, err = h(a, body)
		}
		if err == nil {
			writeJSON(w, http.StatusOK, answer)
			return
		}
		var no *apiError
		if !errors.As(err, &no) {
			no = &apiError{http.StatusInternalServerError, "internal", "internal error"}
			s.log.Error("request failed", "err", err)
		}
		s.metrics.refusedEvents.WithLabelValues(no.reason).Inc()
		writeError(w, no.status, no.text)
	}
}

func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (*app, []byte, error) {
	a := s.apps[r.PathValue("id")]
	if a == nil {
		return nil, nil, &apiError{http.StatusNotFound, "app_not_found", fmt.Sprintf("no app has the id %.60q", r.PathValue("id"))}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.cfg.MaxRequestSize)))
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return nil, nil, &apiError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf(
			"the request's body is over %d bytes (key max_request_size)", s.cfg.MaxRequestSize)}
	}
	if err != nil {
		return nil, nil, badRequest("the request's body could not be read")
	}
	// Laravel signs the path without the prefix under which the server is
	// reached, other libraries what they send.
	path := r.URL.EscapedPath()
	_, err = auth.VerifyRequest(r.Method, strings.TrimPrefix(path, s.cfg.Path), r.URL.RawQuery, body, a.Key, a.Secret, time.Now())
	if err != nil && s.cfg.Path != "" {
		if _, again := auth.VerifyRequest(r.Method, path, r.URL.RawQuery, body, a.Key, a.Secret, time.Now()); again == nil {
			err = nil
		}
	}
	if err != nil {
		no := refusalOf(err)
		return nil, nil, &apiError{no.Status, no.Reason, no.Message}
	}
	return a, body, nil
}

// eventRequest is the body of POST events, and an element of a batch.
type eventRequest struct {
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data"`
	Channel  string          `json:"channel"`
	Channels []string        `json:"channels"`
	SocketID string          `json:"socket_id"`
}

// postEvents publishes an event to up to 100 channels: all of them, or none
// if anything is wrong with the request.
func (s *Server) postEvents(a *app, body []byte) (any, error) {
	received := time.Now()
	var req eventRequest
	if err := decodeBody(body, &req); err != nil {
		return nil, err
	}
	events, err := req.events(a)
	if err != nil {
		return nil, err
	}
	for i := range events {
		s.publish(SourceHTTP, a, &events[i], received)
	}
	return struct{}{}, nil
}

// postBatch publishes up to 10 events, each to one channel: all, or none if
// anything is wrong with one.
func (s *Server) postBatch(a *app, body []byte) (any, error) {
	received := time.Now()
	var req struct {
		Batch []eventRequest `json:"batch"`
	}
	if err := decodeBody(body, &req); err != nil {
		return nil, err
	}
	if req.Batch == nil {
		return nil, badRequest("batch is missing: it is an array of events")
	}
	if len(req.Batch) > maxBatch {
		return nil, badRequest("batch has %d events, the limit is %d", len(req.Batch), maxBatch)
	}
	var all []protocol.Event
	for i := range req.Batch {
		if len(req.Batch[i].Channels) > 0 {
			return nil, badRequest("batch[%d]: an event of a batch has one channel, not channels", i)
		}
		events, err := req.Batch[i].events(a)
		if err != nil {
			var no *apiError
			errors.As(err, &no)
			return nil, &apiError{no.status, no.reason, fmt.Sprintf("batch[%d]: %s", i, no.text)}
		}
		all = append(all, events...)
	}
	for i := range all {
		s.publish(SourceHTTP, a, &all[i], received)
	}
	return map[string]any{"batch": struct{}{}}, nil
}

func decodeBody(body []byte, into any) error {
	if !utf8.Valid(body) {
		return badRequest("the body is not valid UTF-8")
	}
	err := json.Unmarshal(body, into)
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ):
		return badRequest("%s is a JSON %s, not %s", cmp.Or(typ.Field, "the body"), typ.Value, article(typ.Type.Kind().String()))
	case err != nil:
		return badRequest("the body is not valid JSON")
	}
	return nil
}

func article(kind string) string {
	switch kind {
	case "slice":
		return "an array"
	case "struct":
		return "an object"
	}
	return "a " + kind
}

// events checks the request and makes an event for each channel.
func (req *eventRequest) events(a *app) ([]protocol.Event, error) {
	names := req.Channels
	if len(names) == 0 && req.Channel != "" {
		names = []string{req.Channel}
	}
	switch {
	case req.Name == "":
		return nil, badRequest("name, the event's, is missing")
	case len(names) == 0:
		return nil, badRequest("channel or channels is missing")
	case len(names) > maxChannels:
		return nil, badRequest("%d channels were given, the limit is %d", len(names), maxChannels)
	}
	var text string
	if err := json.Unmarshal(req.Data, &text); err != nil || req.Data[0] != '"' {
		return nil, badRequest("data is not a string; encode the event's data as JSON text")
	}
	if len(text) > a.MaxEventSize {
		return nil, &apiError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf(
			"data is %d bytes, the limit is %d (key app.max_event_size)", len(text), a.MaxEventSize)}
	}
	var except protocol.SocketID
	if req.SocketID != "" {
		id, ok := protocol.ParseSocketID(req.SocketID)
		if !ok {
			return nil, badRequest("socket_id %.40q is not of the form 123.456", req.SocketID)
		}
		except = id
	}
	events := make([]protocol.Event, 0, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		e := protocol.Event{Channel: name, Name: req.Name, Data: req.Data, Except: except}
		if err := e.Check(); err != nil {
			return nil, badRequest("%s", err)
		}
		events = append(events, e)
	}
	return events, nil
}
