package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Message is what a client sends: {"event", "channel"?, "data"?}.
type Message struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// ParseMessage reads a client's message, which is valid UTF-8. Its error is
// fit for the client.
func ParseMessage(text []byte) (Message, error) {
	var m Message
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return m, fmt.Errorf("message is not a JSON object")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("message is not valid JSON of the form {\"event\", \"channel\", \"data\"}")
	}
	switch {
	case m.Event == "":
		return m, fmt.Errorf("message has no event name")
	case len(m.Event) > MaxEventName:
		return m, fmt.Errorf("event name is %d bytes long, the limit is %d", len(m.Event), MaxEventName)
	}
	return m, nil
}

// Subscribe is the data of pusher:subscribe.
type Subscribe struct {
	Channel     string `json:"channel"`
	Auth        string `json:"auth"`
	ChannelData string `json:"channel_data"`
}

// ParseSubscribe reads the data of pusher:subscribe or pusher:unsubscribe.
// Some clients send data as a string that holds the object.
func ParseSubscribe(data json.RawMessage) (Subscribe, error) {
	var s Subscribe
	if err := json.Unmarshal(unquoteData(data), &s); err != nil {
		return s, fmt.Errorf("data is not of the form {\"channel\", \"auth\", \"channel_data\"}, all strings")
	}
	return s, CheckChannel(s.Channel)
}

// unquoteData returns the JSON text inside a JSON string, or data itself.
func unquoteData(data json.RawMessage) json.RawMessage {
	var text string
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &text) == nil {
		return json.RawMessage(text)
	}
	return data
}

// Established greets a new connection. activityTimeout, in seconds, is the
// silence after which the client shall ping.
func Established(id SocketID, activityTimeout int) Frame {
	b := startFrame(120)
	b = append(b, `{"event":"pusher:connection_established","data":"{\"socket_id\":\"`...)
	b = id.append(b)
	b = append(b, `\",\"activity_timeout\":`...)
	b = strconv.AppendInt(b, int64(activityTimeout), 10)
	return finishFrame(append(b, `}"}`...))
}

// Error is pusher:error. Pusher documents data as an object, which is what
// this sends; pusher-js reads a string too.
func Error(code CloseCode, message string) Frame {
	b := startFrame(64 + len(message))
	b = append(b, `{"event":"pusher:error","data":{"code":`...)
	b = strconv.AppendUint(b, uint64(code), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, message)
	return finishFrame(append(b, `}}`...))
}

// Ping asks the client for a pusher:pong.
func Ping() Frame { return TextFrame([]byte(`{"event":"pusher:ping","data":{}}`)) }

// Pong answers the client's pusher:ping.
func Pong() Frame { return TextFrame([]byte(`{"event":"pusher:pong","data":{}}`)) }

// SubscriptionSucceeded answers a subscribe. presence is the channel's
// {"presence":{"ids","hash","count"}} object and nil elsewhere.
func SubscriptionSucceeded(channel string, presence []byte) Frame {
	if presence == nil {
		presence = []byte(`{}`)
	}
	e := Event{Channel: channel, Name: "pusher_internal:subscription_succeeded", Data: QuoteData(presence)}
	return e.Frame()
}

// CacheMiss tells a subscriber that a cache channel has no event to replay.
func CacheMiss(channel string) Frame {
	b := startFrame(64 + len(channel))
	b = append(b, `{"event":"pusher:cache_miss","channel":`...)
	b = appendString(b, channel)
	return finishFrame(append(b, '}'))
}

// Signin is the data of pusher:signin.
type Signin struct {
	Auth     string `json:"auth"`
	UserData string `json:"user_data"`
}

// ParseSignin reads the data of pusher:signin.
func ParseSignin(data json.RawMessage) (Signin, error) {
	var s Signin
	if err := json.Unmarshal(unquoteData(data), &s); err != nil || s.UserData == "" {
		return s, fmt.Errorf("data is not of the form {\"auth\", \"user_data\"}, both strings")
	}
	return s, nil
}

// SigninSuccess answers pusher:signin with what was signed.
func SigninSuccess(userData string) Frame {
	b := startFrame(64 + len(userData) + len(userData)/4)
	b = append(b, `{"event":"pusher:signin_success","data":{"user_data":`...)
	b = appendString(b, userData)
	return finishFrame(append(b, `}}`...))
}

// Watchlist tells that users of a client's watchlist came or went; name is
// "online" or "offline".
func Watchlist(name string, userIDs []string) Frame {
	ids, err := json.Marshal(userIDs)
	if err != nil {
		panic("protocol: encoding strings: " + err.Error())
	}
	data := fmt.Appendf(nil, `{"events":[{"name":%q,"user_ids":%s}]}`, name, ids)
	b := startFrame(64 + 2*len(data))
	b = append(b, `{"event":"pusher_internal:watchlist_events","data":`...)
	b = appendString(b, data)
	return finishFrame(append(b, '}'))
}

// SubscriptionError refuses a subscribe. kind is pusher-js's error type, such
// as "AuthError"; status an HTTP status. The shape is soketi's, since Pusher's
// documentation has none.
func SubscriptionError(channel, kind, message string, status int) Frame {
	b := make([]byte, 0, 64+len(message))
	b = append(b, `{"type":`...)
	b = appendString(b, kind)
	b = append(b, `,"error":`...)
	b = appendString(b, message)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	e := Event{Channel: channel, Name: "pusher:subscription_error", Data: append(b, '}')}
	return e.Frame()
}
