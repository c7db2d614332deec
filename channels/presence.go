package channels

import (
	"strconv"

	"broadcastd/protocol"
)

// roster is the members of a presence channel. A user is one member, however
// many connections they have.
type roster struct {
	members []*entry
	byID    map[string]*entry
	encoded []byte // what encode returned; nil once it has changed
}

// entry keeps the parts of a member's JSON, since every joiner gets all of
// them.
type entry struct {
	userID      string
	id, info    []byte
	connections int
	index       int // in members
}

func newRoster() *roster { return &roster{byID: make(map[string]*entry)} }

// add reports whether it was the user's first connection. What a later
// connection says of the user does not change what the others were told.
func (r *roster) add(m *protocol.Member) bool {
	if e := r.byID[m.UserID]; e != nil {
		e.connections++
		return false
	}
	e := &entry{userID: m.UserID, id: quote(m.UserID), info: infoOf(m), connections: 1, index: len(r.members)}
	r.byID[m.UserID] = e
	r.members = append(r.members, e)
	r.encoded = nil
	return true
}

// full reports whether m would be one member too many.
func (r *roster) full(max int, m *protocol.Member) bool {
	return len(r.members) >= max && r.byID[m.UserID] == nil
}

// remove reports whether it was the user's last connection.
func (r *roster) remove(m *protocol.Member) bool {
	e := r.byID[m.UserID]
	if e.connections--; e.connections > 0 {
		return false
	}
	last := len(r.members) - 1
	r.members[e.index] = r.members[last]
	r.members[e.index].index = e.index
	r.members[last] = nil
	r.members = r.members[:last]
	delete(r.byID, m.UserID)
	r.encoded = nil
	return true
}

// encode is the roster as subscription_succeeded carries it:
// {"presence":{"ids":[...],"hash":{id: user_info},"count":n}}.
func (r *roster) encode() []byte {
	if r.encoded != nil {
		return r.encoded
	}
	size := 64
	for _, e := range r.members {
		size += 2*len(e.id) + len(e.info) + 3
	}
	b := append(make([]byte, 0, size), `{"presence":{"ids":[`...)
	for i, e := range r.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.id...)
	}
	b = append(b, `],"hash":{`...)
	for i, e := range r.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.id...)
		b = append(b, ':')
		b = append(b, e.info...)
	}
	b = append(b, `},"count":`...)
	b = strconv.AppendInt(b, int64(len(r.members)), 10)
	r.encoded = append(b, "}}"...)
	return r.encoded
}

func quote(s string) []byte { return protocol.QuoteData([]byte(s)) }

// infoOf is never absent: laravel-echo reads names from the roster's hash.
func infoOf(m *protocol.Member) []byte {
	if len(m.Info) == 0 {
		return []byte("null")
	}
	return m.Info
}

func memberAdded(channel string, m *protocol.Member) protocol.Frame {
	data := append([]byte(`{"user_id":`), quote(m.UserID)...)
	data = append(data, `,"user_info":`...)
	data = append(data, infoOf(m)...)
	return internalEvent(channel, "pusher_internal:member_added", append(data, '}'))
}

func memberRemoved(channel string, m *protocol.Member) protocol.Frame {
	data := append([]byte(`{"user_id":`), quote(m.UserID)...)
	return internalEvent(channel, "pusher_internal:member_removed", append(data, '}'))
}

func internalEvent(channel, name string, data []byte) protocol.Frame {
	e := protocol.Event{Channel: channel, Name: name, Data: protocol.QuoteData(data)}
	return e.Frame()
}
