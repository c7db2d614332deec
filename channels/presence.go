package channels

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"broadcastd/protocol"
)

// MaxUserID is the longest user id, in characters, as in Pusher.
const MaxUserID = 128

// Member is a user of a presence channel, as its signed channel_data says.
type Member struct {
	UserID string          `json:"user_id"`
	Info   json.RawMessage `json:"user_info,omitempty"`
}

// ParseMember reads channel_data: {"user_id": string or integer, "user_info"?:
// any JSON}. Integers are kept digit for digit. Its error is fit for the client.
func ParseMember(channelData string) (*Member, error) {
	var data map[string]json.RawMessage // a struct would take "USER_ID" too
	if err := json.Unmarshal([]byte(channelData), &data); err != nil {
		return nil, fmt.Errorf(`channel_data is not JSON of the form {"user_id", "user_info"}`)
	}
	m := &Member{Info: data["user_info"]}
	switch id := data["user_id"]; {
	case len(id) > 0 && id[0] == '"':
		if err := json.Unmarshal(id, &m.UserID); err != nil {
			return nil, fmt.Errorf("user_id in channel_data is not a string")
		}
	case len(id) > 0 && (id[0] == '-' || '0' <= id[0] && id[0] <= '9') && !bytes.ContainsAny(id, ".eE"):
		m.UserID = string(id)
	default:
		return nil, fmt.Errorf("channel_data has no user_id that is a string or an integer")
	}
	if err := CheckUserID(m.UserID); err != nil {
		return nil, fmt.Errorf("user_id in channel_data %w", err)
	}
	return m, nil
}

// CheckUserID reports what is wrong with a user's id, or nil.
func CheckUserID(id string) error {
	if n := utf8.RuneCountInString(id); n == 0 || n > MaxUserID {
		return fmt.Errorf("is %d characters long, it must be 1 to %d", n, MaxUserID)
	}
	return nil
}

// roster is the members of a presence channel. A user is one member, however
// many connections they have.
type roster struct {
	members []*entry
	byID    map[string]*entry
}

type entry struct {
	Member
	connections int
	index       int // in members
}

func newRoster() *roster { return &roster{byID: make(map[string]*entry)} }

// add reports whether it was the user's first connection. What a later
// connection says of the user does not change what the others were told.
func (r *roster) add(m *Member) bool {
	if e := r.byID[m.UserID]; e != nil {
		e.connections++
		return false
	}
	e := &entry{Member: *m, connections: 1, index: len(r.members)}
	r.byID[m.UserID] = e
	r.members = append(r.members, e)
	return true
}

// full reports whether m would be one member too many.
func (r *roster) full(max int, m *Member) bool {
	return len(r.members) >= max && r.byID[m.UserID] == nil
}

// remove reports whether it was the user's last connection.
func (r *roster) remove(m *Member) bool {
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
	return true
}

// encode is the roster as subscription_succeeded carries it:
// {"presence":{"ids":[...],"hash":{id: user_info},"count":n}}.
func (r *roster) encode() []byte {
	type presence struct {
		IDs   []string                   `json:"ids"`
		Hash  map[string]json.RawMessage `json:"hash"`
		Count int                        `json:"count"`
	}
	p := presence{make([]string, 0, len(r.members)), make(map[string]json.RawMessage, len(r.members)), len(r.members)}
	for _, e := range r.members {
		p.IDs = append(p.IDs, e.UserID)
		p.Hash[e.UserID] = e.info()
	}
	return mustEncode(map[string]presence{"presence": p})
}

// info is never absent: laravel-echo reads names from the roster's hash.
func (m *Member) info() json.RawMessage {
	if len(m.Info) == 0 {
		return json.RawMessage("null")
	}
	return m.Info
}

func memberAdded(channel string, m *Member) protocol.Frame {
	return internalEvent(channel, "pusher_internal:member_added", mustEncode(map[string]any{
		"user_id": m.UserID, "user_info": m.info(),
	}))
}

func memberRemoved(channel string, m *Member) protocol.Frame {
	return internalEvent(channel, "pusher_internal:member_removed", mustEncode(map[string]string{"user_id": m.UserID}))
}

func internalEvent(channel, name string, data []byte) protocol.Frame {
	e := protocol.Event{Channel: channel, Name: name, Data: protocol.QuoteData(data)}
	return e.Frame()
}

// mustEncode encodes what cannot fail: strings, and JSON that was parsed.
func mustEncode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("channels: encoding presence data: " + err.Error())
	}
	return b
}
