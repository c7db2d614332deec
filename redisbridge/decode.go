package redisbridge

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"broadcastd/protocol"
)

// Message is a payload that was decoded.
type Message struct {
	// Event lacks the channel, which Redis carries outside the payload. Its
	// data may share the payload's memory.
	Event protocol.Event
	// Size is the length of the data's JSON text, in bytes.
	Size int
	// BadSocket says that the payload names a socket that can't be one, such
	// as "undefined" of a page that asked Echo too early. Nobody is excluded.
	BadSocket bool
}

// Decode reads what Laravel's redis broadcaster publishes:
//
//	{"event":"job.claimed","data":{"id":42,"socket":null},"socket":null}
//
// The event's data is what the same app would have sent through its reverb
// driver: the JSON text of data, byte for byte, as a string, but without the
// copy of socket that the redis driver leaves in it, wherever it stands. An
// object that this empties becomes [], since that is how PHP writes an empty
// array. The one difference that remains: from a list, the copy had made an
// object with the keys "0", "1" and so on.
//
// Data that is a JSON string already is passed on as it is; no data is null.
// Of a key that occurs twice the last one counts, as in browsers and PHP.
//
// The error is a [*Reason].
func Decode(payload []byte) (Message, error) {
	var m Message
	payload = payload[skipSpace(payload, 0):]
	isObject := is(payload, 0, '{')
	object := members{text: payload}
	var name, data, socket []byte
	for isObject && object.next() {
		switch {
		case object.keyIs("event"):
			name = object.value
		case object.keyIs("data"):
			data = object.value
		case object.keyIs("socket"):
			socket = object.value
		}
	}
	switch {
	case isObject && !object.valid(), !isObject && !valid(payload):
		return m, ReasonNotJSON
	case !utf8.Valid(payload):
		return m, ReasonInvalidUTF8
	case name == nil || name[0] != '"':
		return m, ReasonNotAnEvent
	}
	m.Event.Name = unquote(name)
	if m.Event.Name == "" || len(m.Event.Name) > protocol.MaxEventName {
		return m, ReasonEventName
	}
	m.Event.Except, m.BadSocket = except(socket)
	m.Event.Data, m.Size = eventData(data, socket)
	return m, nil
}

// eventData gives the data as the wire carries it, and its size before that.
func eventData(data, socket []byte) (json.RawMessage, int) {
	switch {
	case data == nil:
		data = []byte("null")
	case data[0] == '"':
		return data, len(data)
	case data[0] == '{' && socket != nil:
		data = withoutSocket(data, socket)
	}
	return protocol.QuoteData(data), len(data)
}

// except reads the root's socket, nil when there is none.
func except(socket []byte) (id protocol.SocketID, bad bool) {
	switch string(socket) {
	case "", "null", `""`:
		return 0, false
	}
	if socket[0] != '"' {
		return 0, true
	}
	id, ok := protocol.ParseSocketID(unquote(socket))
	return id, !ok
}

// withoutSocket drops the members of data that are named socket, if the one
// that counts equals the root's. The other members keep all their bytes.
func withoutSocket(data, socket []byte) []byte {
	var copied []byte
	others := make([]byte, 0, len(data))
	separator := byte('{')
	for object := (members{text: data}); object.next(); {
		if object.keyIs("socket") {
			copied = object.value
			continue
		}
		others = append(append(others, separator), object.whole...)
		separator = ','
	}
	switch {
	case copied == nil || !sameValue(copied, socket):
		return data
	case len(others) == 0:
		return []byte("[]")
	}
	return append(others, '}')
}

// sameValue compares two JSON values; strings may differ in their escapes.
func sameValue(a, b []byte) bool {
	return bytes.Equal(a, b) || a[0] == '"' && b[0] == '"' && unquote(a) == unquote(b)
}
