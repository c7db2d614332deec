package webhook

import (
	"encoding/json"
	"time"
)

// The names of events.
const (
	ChannelOccupied   = "channel_occupied"
	ChannelVacated    = "channel_vacated"
	MemberAdded       = "member_added"
	MemberRemoved     = "member_removed"
	ClientEvent       = "client_event"
	CacheMiss         = "cache_miss"
	SubscriptionCount = "subscription_count"
)

// Names lists every name of an event.
func Names() []string {
	return []string{ChannelOccupied, ChannelVacated, MemberAdded, MemberRemoved, ClientEvent, CacheMiss, SubscriptionCount}
}

// event is one thing that happened, as the body carries it.
type event struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name"`
	Channel string `json:"channel"`
	UserID  string `json:"user_id,omitempty"` // of members and, in presence channels, of client events
	// Of client events. Data is text, whatever the client sent: a string's
	// content, and JSON for all else.
	Event    string  `json:"event,omitempty"`
	Data     *string `json:"data,omitempty"`
	SocketID string  `json:"socket_id,omitempty"`
	// Of subscription counts.
	Count *int `json:"subscription_count,omitempty"`

	at      time.Time   // when it was queued
	receipt *receipt    // nil: nobody waits for it
	may     func() bool // with a receipt: see Telling
}

// cost is about the memory that a queued event takes, in bytes.
func (e *event) cost() int {
	n := 256 + len(e.ID) + len(e.Channel) + len(e.UserID) + len(e.Event)
	if e.Data != nil {
		n += len(*e.Data)
	}
	return n
}

// dataText is a client event's data as text.
func dataText(data json.RawMessage) string {
	var text string
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}

// encode makes the body of a request. Its time is that of the oldest event, so
// that a receiver sees how late it hears of it.
func encode(batch []event) []byte {
	body, err := json.Marshal(struct {
		TimeMS int64   `json:"time_ms"`
		Events []event `json:"events"`
	}{batch[0].at.UnixMilli(), batch})
	if err != nil {
		panic("webhook: encoding strings and numbers: " + err.Error())
	}
	return body
}

// latestCounts leaves of each channel's subscription counts the last; the others
// are done with. It uses batch's own memory.
func latestCounts(batch []event) []event {
	last := make(map[string]int)
	for i, e := range batch {
		if e.Name == SubscriptionCount {
			last[e.Channel] = i
		}
	}
	kept := batch[:0]
	for i, e := range batch {
		if e.Name != SubscriptionCount || last[e.Channel] == i {
			kept = append(kept, e)
		} else {
			e.receipt.release()
		}
	}
	return kept
}
