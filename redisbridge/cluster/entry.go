package cluster

import (
	"encoding/json"
	"strconv"
	"strings"

	"broadcastd/protocol"
)

// The types of entries in the log. An event has none.
const (
	typeEvent         = ""
	typeMemberAdded   = "member_added"
	typeMemberRemoved = "member_removed"
	typeOccupied      = "occupied"
	typeVacated       = "vacated"
	typeCount         = "count"
	typeOnline        = "online"
	typeOffline       = "offline"
	typeTerminate     = "terminate"
	typeCacheMiss     = "cache_miss"
)

// entry is what stands in the log, as fields of text:
//
//	channel, event, data or raw, socket?, user?, from?   an event
//	type, channel, ...                                   something that happened
//
// data is the event's data as text, mostly JSON; raw is the JSON value that goes
// on the wire. socket is the connection that gets no copy. from says which node
// added it: generation:number.
type entry struct {
	id      position
	kind    string
	channel string
	event   string
	data    string
	raw     string
	socket  string
	user    string
	info    string
	n       string
	from    string
}

// parseEntry reads an entry's names and values. What it doesn't know it ignores.
func parseEntry(id string, fields []any) (e entry, ok bool) {
	if e.id, ok = parsePosition(id); !ok {
		return e, false
	}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch name {
		case "type":
			e.kind = value
		case "channel":
			e.channel = value
		case "event":
			e.event = value
		case "data":
			e.data = value
		case "raw":
			e.raw = value
		case "socket":
			e.socket = value
		case "user":
			e.user = value
		case "info":
			e.info = value
		case "n":
			e.n = value
		case "from":
			e.from = value
		}
	}
	return e, true
}

// eventFields is an event as a node adds it to the log.
func eventFields(e *protocol.Event) []any {
	fields := []any{"channel", e.Channel, "event", e.Name, "raw", []byte(e.Data)}
	if e.Except != 0 {
		fields = append(fields, "socket", e.Except.String())
	}
	if e.UserID != "" {
		fields = append(fields, "user", e.UserID)
	}
	return fields
}

// toEvent gives the event that an entry holds. badSocket: the socket to exclude
// is none, so nobody is excluded.
func (e *entry) toEvent() (event protocol.Event, badSocket bool) {
	event = protocol.Event{Channel: e.channel, Name: e.event, UserID: e.user}
	switch {
	case e.raw != "":
		event.Data = json.RawMessage(e.raw)
	default:
		event.Data = protocol.QuoteData([]byte(e.data))
	}
	if e.socket != "" {
		id, ok := protocol.ParseSocketID(e.socket)
		event.Except, badSocket = id, !ok
	}
	return event, badSocket
}

// origin is the node that added the entry and the number that it gave it; empty
// for what APIs and scripts add.
func (e *entry) origin() (generation string, number uint64) {
	generation, text, found := strings.Cut(e.from, ":")
	if !found {
		return "", 0
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return "", 0
	}
	return generation, number
}
