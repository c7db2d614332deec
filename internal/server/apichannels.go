package server

import (
	"encoding/json"
	"strings"
	"time"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// attributes are what the parameter info asks to be told of channels.
type attributes struct{ userCount, subscriptionCount, cache bool }

// parseInfo reads a list separated by commas. What it doesn't know it ignores.
func parseInfo(list string) (want attributes) {
	for name := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(name) {
		case "user_count":
			want.userCount = true
		case "subscription_count":
			want.subscriptionCount = true
		case "cache":
			want.cache = true
		}
	}
	return want
}

// channelInfo is what the HTTP API tells of a channel: as much as was asked
// for.
type channelInfo struct {
	Occupied          *bool        `json:"occupied,omitempty"`
	UserCount         *int         `json:"user_count,omitempty"`
	SubscriptionCount *int         `json:"subscription_count,omitempty"`
	Cache             *cachedEvent `json:"cache,omitempty"`
}

// cachedEvent is the last event of a cache channel.
type cachedEvent struct {
	Data string `json:"data"`
	TTL  int    `json:"ttl"` // seconds, above 0
}

func (want attributes) of(known channels.Info) (told channelInfo) {
	if want.userCount {
		told.UserCount = &known.Users
	}
	if want.subscriptionCount {
		told.SubscriptionCount = &known.Subscriptions
	}
	if want.cache && known.Cached != nil {
		told.Cache = &cachedEvent{
			Data: dataText(known.Cached),
			TTL:  int((known.CachedFor + time.Second - 1) / time.Second),
		}
	}
	return told
}

// dataText is an event's data as text: what the API sent, or the JSON that a
// client did.
func dataText(data json.RawMessage) string {
	var text string
	if data[0] != '"' || json.Unmarshal(data, &text) != nil {
		return string(data)
	}
	return text
}

// getChannels tells of all occupied channels: {"channels": {name: {attribute:
// n}}}.
func (s *Server) getChannels(c call) (any, error) {
	prefix := c.params["filter_by_prefix"]
	want := parseInfo(c.params["info"])
	if want.userCount && !protocol.KindOf(prefix).IsPresence() {
		return nil, badRequest("info=user_count is for presence channels only: add filter_by_prefix=presence-")
	}
	occupied, err := s.occupied(c.app, prefix)
	if err != nil {
		return nil, err
	}
	all := make(map[string]channelInfo)
	for name, known := range occupied {
		all[name] = want.of(known)
	}
	return map[string]any{"channels": all}, nil
}

// getChannel tells of one channel, also of one that nobody is subscribed to:
// {"occupied": bool, attribute: n, "cache": {"data", "ttl"}}.
func (s *Server) getChannel(c call) (any, error) {
	name := c.path("channel_name")
	if err := protocol.CheckChannel(name); err != nil {
		return nil, badRequest("%s", err)
	}
	kind, want := protocol.KindOf(name), parseInfo(c.params["info"])
	switch {
	case want.userCount && !kind.IsPresence():
		return nil, badRequest("info=user_count: %s is not a presence channel", name)
	case want.cache && !kind.IsCache():
		return nil, badRequest("info=cache: %s is not a cache channel", name)
	}
	known, err := s.info(c.app, name)
	if err != nil {
		return nil, err
	}
	told := want.of(known)
	told.Occupied = &known.Occupied
	return told, nil
}

// getUsers lists a presence channel's members: {"users": [{"id": "7"}]}.
func (s *Server) getUsers(c call) (any, error) {
	name := c.path("channel_name")
	if err := protocol.CheckChannel(name); err != nil {
		return nil, badRequest("%s", err)
	}
	if !protocol.KindOf(name).IsPresence() {
		return nil, badRequest("%s is not a presence channel: only these have users", name)
	}
	members, err := s.members(c.app, name)
	if err != nil {
		return nil, err
	}
	users := []map[string]string{}
	for _, id := range members {
		users = append(users, map[string]string{"id": id})
	}
	return map[string]any{"users": users}, nil
}
