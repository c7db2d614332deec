package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"broadcastd/protocol"
)

// Limits of the HTTP API, as in Pusher's.
const (
	maxChannels = 100
	maxBatch    = 10
)

// eventRequest is the body of POST events, and an element of a batch.
type eventRequest struct {
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data"`
	Channel  string          `json:"channel"`
	Channels []string        `json:"channels"`
	SocketID string          `json:"socket_id"`
	Info     string          `json:"info"`
}

// postEvents publishes an event to up to 100 channels: all of them, or none
// if anything is wrong with the request. With info it tells of the channels:
// {"channels": {name: {attribute: n}}}.
func (s *Server) postEvents(c call) (any, error) {
	received := time.Now()
	var req eventRequest
	if err := decodeBody(c.body, &req); err != nil {
		return nil, err
	}
	events, err := req.events(c.app)
	if err != nil {
		return nil, err
	}
	if err := s.spend(c, len(events)); err != nil {
		return nil, err
	}
	if err := s.publishAll(c.app, events, received); err != nil {
		return nil, err
	}
	if req.Info == "" {
		return struct{}{}, nil
	}
	all := make(map[string]channelInfo, len(events))
	for i := range events {
		all[events[i].Channel] = s.infoFor(&req, c.app, events[i].Channel)
	}
	return map[string]any{"channels": all}, nil
}

// postBatch publishes up to 10 events, each to one channel: all, or none if
// anything is wrong with one. If any has info it tells of the channels, in the
// order of the events: {"batch": [{attribute: n}, {}]}.
//
// The answer without info is Pusher's; Reverb's {"batch": {}} is one that
// Pusher's Go library cannot read.
func (s *Server) postBatch(c call) (any, error) {
	received := time.Now()
	var req struct {
		Batch []eventRequest `json:"batch"`
	}
	if err := decodeBody(c.body, &req); err != nil {
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
		events, err := req.Batch[i].events(c.app)
		if err != nil {
			no, _ := errors.AsType[*apiError](err)
			return nil, &apiError{no.status, no.reason, fmt.Sprintf("batch[%d]: %s", i, no.text)}
		}
		all = append(all, events...)
	}
	if err := s.spend(c, len(all)); err != nil {
		return nil, err
	}
	if err := s.publishAll(c.app, all, received); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(req.Batch, func(e eventRequest) bool { return e.Info != "" }) {
		return struct{}{}, nil
	}
	infos := make([]channelInfo, 0, len(req.Batch))
	for i := range req.Batch {
		infos = append(infos, s.infoFor(&req.Batch[i], c.app, req.Batch[i].Channel))
	}
	return map[string]any{"batch": infos}, nil
}

// infoFor is what a request asks to be told of a channel. Unlike where a channel
// is asked about by name, what doesn't apply to it is left out; so is what isn't
// known, since the events are published, and an error would have them sent again.
func (s *Server) infoFor(req *eventRequest, a *app, channel string) channelInfo {
	want := parseInfo(req.Info)
	want.cache = false
	want.userCount = want.userCount && protocol.KindOf(channel).IsPresence()
	if want == (attributes{}) {
		return channelInfo{}
	}
	known, err := s.info(a, channel)
	if err != nil {
		return channelInfo{}
	}
	return want.of(known)
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
	if len(req.Data) == 0 || req.Data[0] != '"' {
		return nil, badRequest("data is not a string; encode the event's data as JSON text")
	}
	if limit := a.settings().MaxEventSize; len(req.Data) > limit { // with its quotes and escapes
		if n := len(dataText(req.Data)); n > limit {
			return nil, &apiError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf(
				"data is %d bytes, the limit is %d (key app.max_event_size)", n, limit)}
		}
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

func decodeBody(body []byte, into any) error {
	if !utf8.Valid(body) {
		return badRequest("the body is not valid UTF-8")
	}
	err := json.Unmarshal(body, into)
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badRequest("%s is a JSON %s, not %s", cmp.Or(typ.Field, "the body"), typ.Value, article(typ.Type.Kind().String()))
	}
	if err != nil {
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
