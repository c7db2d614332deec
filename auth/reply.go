package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"broadcastd/protocol"
)

// maxUserID is the longest user id, in characters, as in Pusher.
const maxUserID = 128

// reply is the object form of a yes. With auth it is signed already, as
// Laravel's pusher and reverb drivers do; its redis driver leaves that to us
// and answers channel_data alone, or a bare true.
type reply struct {
	Auth         *string         `json:"auth"`
	ChannelData  json.RawMessage `json:"channel_data"`
	SharedSecret string          `json:"shared_secret"`
}

// grant turns the body of a 200 reply into a signed yes, or says why it is
// none. Content-Type has no say in it: Laravel sends JSON as text/html.
func (r Request) grant(app Credentials, body []byte) (Grant, *Refusal) {
	var yes bool
	var reply reply
	switch {
	// null decodes into a bool as false: a callback that returned nothing.
	case json.Unmarshal(body, &yes) == nil:
		if !yes {
			return Grant{}, r.question().refusedBy(http.StatusForbidden)
		}
	// Browsers drop a connection on text that is not UTF-8.
	case !utf8.Valid(body):
		return Grant{}, unusable(ReasonBadReply, "the API's reply is not valid UTF-8")
	case json.Unmarshal(body, &reply) != nil:
		return Grant{}, unusable(ReasonBadReply, r.question().describe(body))
	case reply.Auth != nil:
		return r.passOn(app, reply)
	case !isSet(reply.ChannelData):
		return Grant{}, unusable(ReasonBadReply, "the API answered an object with neither channel_data nor auth in it: is "+askChannel.key+" the URL of its "+askChannel.route+"?")
	}
	return r.sign(app, reply.ChannelData)
}

// describe tells what a reply of no known form looks like, without quoting it.
func (q question) describe(body []byte) string {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return "the API answered 200 with an empty body: what does " + q.yes + " return?"
	case body[0] == '<':
		return "the API answered with a web page: is " + q.key + " the URL of its " + q.route + "?"
	case q.kind == askUser:
		return "the API's reply is not an object with id, or with auth and user_data"
	}
	return "the API's reply is neither true nor an object with channel_data or auth"
}

// sign signs a yes on the API's behalf. channelData is nil for a bare true.
// Other channels than presence ones have no members, so channel_data ends
// here: pusher-js would send it along, and the signature had to cover it.
func (r Request) sign(app Credentials, channelData json.RawMessage) (Grant, *Refusal) {
	kind := protocol.KindOf(r.Channel)
	if kind.IsEncrypted() {
		return Grant{}, noSecret(r.Channel)
	}
	if channelData == nil && kind.IsPresence() {
		return Grant{}, unusable(ReasonNoMember, "the API answered true for "+r.Channel+
			", which does not say who joins: the callback of a presence channel must return an array of what other members may see, such as ['id' => $user->id, 'name' => $user->name]")
	}
	var grant Grant
	if channelData != nil {
		id, info, err := parseMember(unquote(channelData))
		if err != nil {
			return Grant{}, unusable(ReasonNoMember, err.Error())
		}
		if kind.IsPresence() {
			grant.ChannelData = memberData(id, info)
		}
	}
	grant.Auth = SignChannel(app.Key, app.Secret, r.SocketID, r.Channel, grant.ChannelData)
	return grant, nil
}

// passOn checks a yes that the API signed, and leaves it as it is.
func (r Request) passOn(app Credentials, reply reply) (Grant, *Refusal) {
	grant := Grant{Auth: *reply.Auth, SharedSecret: reply.SharedSecret}
	if isSet(reply.ChannelData) && json.Unmarshal(reply.ChannelData, &grant.ChannelData) != nil {
		return Grant{}, unusable(ReasonBadReply, "the API's reply has auth and a channel_data that is not a string: sign it as Pusher's server libraries do")
	}
	if err := VerifyChannel(grant.Auth, app.Key, app.Secret, r.SocketID, r.Channel, grant.ChannelData); err != nil {
		return Grant{}, unusable(ReasonBadSignature, "the API's reply is signed otherwise than by this app: "+err.Error())
	}
	kind := protocol.KindOf(r.Channel)
	if kind.IsEncrypted() && grant.SharedSecret == "" {
		return Grant{}, noSecret(r.Channel)
	}
	if kind.IsPresence() {
		if _, _, err := parseMember([]byte(grant.ChannelData)); err != nil {
			return Grant{}, unusable(ReasonNoMember, err.Error())
		}
	}
	return grant, nil
}

// noSecret refuses an encrypted channel whose key only the API can make.
func noSecret(channel string) *Refusal {
	return unusable(ReasonNoSecret, "the API's reply for "+channel+
		" has no shared_secret: encrypted channels need Laravel's reverb or pusher driver, with an encryption master key, for authorisation")
}

// parseMember reads {"user_id", "user_info"?}; user_info is returned byte for
// byte and nil when there is none, an integer user_id by its digits.
func parseMember(text []byte) (id string, info json.RawMessage, err error) {
	var member struct {
		UserID   json.RawMessage `json:"user_id"`
		UserInfo json.RawMessage `json:"user_info"`
	}
	if json.Unmarshal(text, &member) != nil {
		return "", nil, errors.New(`the API's channel_data is not an object of the form {"user_id", "user_info"}`)
	}
	id, err = parseID(member.UserID, "user_id in the API's channel_data")
	return id, member.UserInfo, err
}

// parseID reads a user's id, a string or an integer. what names it in errors.
func parseID(raw json.RawMessage, what string) (string, error) {
	var id string
	switch {
	case json.Unmarshal(raw, &id) == nil: // null leaves it empty
	case strings.Trim(strings.TrimPrefix(string(raw), "-"), "0123456789") == "":
		id = string(raw)
	default:
		return "", fmt.Errorf("%s is neither a string nor an integer", what)
	}
	switch n := utf8.RuneCountInString(id); {
	case n == 0:
		return "", fmt.Errorf("%s is missing or empty", what)
	case n > maxUserID:
		return "", fmt.Errorf("%s is %d characters long, the limit is %d", what, n, maxUserID)
	}
	return id, nil
}

// memberData writes what parseMember reads, user_id as a string.
func memberData(id string, info json.RawMessage) string {
	b := append([]byte(`{"user_id":`), protocol.QuoteData([]byte(id))...)
	if info != nil {
		b = append(b, `,"user_info":`...)
		b = append(b, info...)
	}
	return string(append(b, '}'))
}

// unquote returns the JSON text inside a JSON string, or raw itself.
func unquote(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}

func isSet(raw json.RawMessage) bool { return raw != nil && string(raw) != "null" }
