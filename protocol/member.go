package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxUserID is the longest user id, in characters, as in Pusher.
const MaxUserID = 128

// Member is a user of a presence channel, as its signed channel_data says.
type Member struct {
	UserID string
	Info   json.RawMessage // any JSON; nil: there is none
}

// ParseMember reads channel_data: {"user_id": string or integer, "user_info"?:
// any JSON}. Integers are kept digit for digit, the info byte for byte.
func ParseMember(channelData string) (*Member, error) {
	var data map[string]json.RawMessage // a struct would take "USER_ID" too
	if err := json.Unmarshal([]byte(channelData), &data); err != nil || data == nil {
		return nil, fmt.Errorf(`channel_data is not a JSON object of the form {"user_id", "user_info"}`)
	}
	id, err := ParseUserID(data["user_id"])
	if err != nil {
		return nil, fmt.Errorf("user_id in channel_data %w", err)
	}
	return &Member{UserID: id, Info: data["user_info"]}, nil
}

// ParseUserID reads a user's id, a JSON string or integer. Its error follows
// the id's name in a sentence.
func ParseUserID(raw json.RawMessage) (string, error) {
	var id string
	switch {
	case len(raw) == 0 || json.Unmarshal(raw, &id) == nil: // null leaves it empty
	case strings.Trim(strings.TrimPrefix(string(raw), "-"), "0123456789") == "":
		id = string(raw)
	default:
		return "", fmt.Errorf("is neither a string nor an integer")
	}
	return id, CheckUserID(id)
}

// CheckUserID reports what is wrong with a user's id, or nil. Its error follows
// the id's name in a sentence.
func CheckUserID(id string) error {
	switch n := utf8.RuneCountInString(id); {
	case n == 0:
		return fmt.Errorf("is missing or empty")
	case n > MaxUserID:
		return fmt.Errorf("is %d characters long, the limit is %d", n, MaxUserID)
	}
	return nil
}
