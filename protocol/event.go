package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxEventName is the longest event name accepted, in bytes, as in Pusher.
const MaxEventName = 200

// Event is what a publisher sends to the subscribers of one channel.
type Event struct {
	Channel string
	Name    string
	// Data is the message's data member as it goes on the wire. Events of an
	// API carry a JSON string that holds JSON text ([QuoteData] makes one);
	// client events any JSON value.
	Data json.RawMessage
	// Except is the connection that gets no copy; 0 excludes nobody.
	Except SocketID
	// UserID is the sender's, on client events of presence channels.
	UserID string
}

// IsClientEvent reports whether clients may send events of this name
// (whispers, in Laravel's words).
func IsClientEvent(name string) bool { return strings.HasPrefix(name, "client-") }

// Check reports why the event cannot be published, or nil. It is the last
// guard before a frame reaches browsers, which drop the whole connection on
// text that is not UTF-8.
func (e *Event) Check() error {
	switch {
	case e.Name == "":
		return fmt.Errorf("event name is empty")
	case len(e.Name) > MaxEventName:
		return fmt.Errorf("event name is %d bytes long, the limit is %d", len(e.Name), MaxEventName)
	case !utf8.ValidString(e.Name):
		return fmt.Errorf("event name is not valid UTF-8")
	case !utf8.Valid(e.Data):
		return fmt.Errorf("event data is not valid UTF-8")
	}
	return CheckChannel(e.Channel)
}

// Frame encodes the event for its subscribers.
func (e *Event) Frame() Frame {
	b := startFrame(len(`{"event":"","channel":"","data":,"user_id":""}`) + 8 +
		len(e.Name) + len(e.Channel) + len(e.Data) + len(e.UserID))
	b = append(b, `{"event":`...)
	b = appendString(b, e.Name)
	b = append(b, `,"channel":`...)
	b = appendString(b, e.Channel)
	b = append(b, `,"data":`...)
	b = append(b, e.Data...)
	if e.UserID != "" {
		b = append(b, `,"user_id":`...)
		b = appendString(b, e.UserID)
	}
	return finishFrame(append(b, '}'))
}

// LooksEncrypted reports whether data, a JSON string, can be what the SDKs send
// to encrypted channels: {"nonce", "ciphertext"}.
func LooksEncrypted(data json.RawMessage) bool {
	return bytes.Contains(data, []byte(`\"nonce\":`)) && bytes.Contains(data, []byte(`\"ciphertext\":`))
}

// QuoteData wraps JSON text into a JSON string, the form in which events of
// an API carry their data. Every byte of text survives.
func QuoteData(text []byte) json.RawMessage {
	return appendString(make([]byte, 0, len(text)+len(text)/4+16), text)
}

const hex = "0123456789abcdef"

// appendString appends s as a JSON string, escaping only what JSON demands.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}
