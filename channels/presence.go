package channels

import (
	"iter"
	"strconv"

	"broadcastd/protocol"
)

// Roster is the members of a presence channel. A user is one member, however
// many connections they have. It has no lock of its own.
type Roster struct {
	members []*entry
	byID    map[string]*entry
	encoded []byte // what Encode returned; nil once it has changed
}

// entry keeps the parts of a member's JSON, since every joiner gets all of
// them.
type entry struct {
	userID      string
	id, info    []byte
	connections int
	index       int // in members
}

// NewRoster makes an empty one.
func NewRoster() *Roster { return &Roster{byID: make(map[string]*entry)} }

// Add counts a user's connection and reports whether it was the first. What a
// later connection says of the user does not change what the others were told.
func (r *Roster) Add(m *protocol.Member) bool {
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
func (r *Roster) full(max int, m *protocol.Member) bool {
	return r.Len() >= max && !r.Has(m.UserID)
}

// Remove takes a user's connection away and reports whether it was the last.
func (r *Roster) Remove(userID string) bool {
	e := r.byID[userID]
	if e == nil {
		return false
	}
	if e.connections--; e.connections > 0 {
		return false
	}
	last := len(r.members) - 1
	r.members[e.index] = r.members[last]
	r.members[e.index].index = e.index
	r.members[last] = nil
	r.members = r.members[:last]
	delete(r.byID, userID)
	r.encoded = nil
	return true
}

// Has reports whether a user is a member.
func (r *Roster) Has(userID string) bool { return r.byID[userID] != nil }

// Len is the number of members.
func (r *Roster) Len() int { return len(r.members) }

// Members are all members; the roster must not change meanwhile.
func (r *Roster) Members() iter.Seq[protocol.Member] {
	return func(yield func(protocol.Member) bool) {
		for _, e := range r.members {
			if !yield(protocol.Member{UserID: e.userID, Info: e.info}) {
				return
			}
		}
	}
}

// Encode is the roster as subscription_succeeded carries it:
// {"presence":{"ids":[...],"hash":{id: user_info},"count":n}}. Nobody may change
// these bytes.
func (r *Roster) Encode() []byte {
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

// MemberAdded is pusher_internal:member_added.
func MemberAdded(channel string, m *protocol.Member) protocol.Frame {
	data := append([]byte(`{"user_id":`), quote(m.UserID)...)
	data = append(data, `,"user_info":`...)
	data = append(data, infoOf(m)...)
	return internalEvent(channel, "pusher_internal:member_added", append(data, '}'))
}

// MemberRemoved is pusher_internal:member_removed.
func MemberRemoved(channel, userID string) protocol.Frame {
	data := append([]byte(`{"user_id":`), quote(userID)...)
	return internalEvent(channel, "pusher_internal:member_removed", append(data, '}'))
}

func internalEvent(channel, name string, data []byte) protocol.Frame {
	e := protocol.Event{Channel: channel, Name: name, Data: protocol.QuoteData(data)}
	return e.Frame()
}
