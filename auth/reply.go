package auth

import (
	"bytes"
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"broadcastd/protocol"
)

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
		member, err := protocol.ParseMember(string(unquote(channelData)))
		if err != nil {
			return Grant{}, unusable(ReasonNoMember, "the API's reply: "+err.Error())
		}
		if kind.IsPresence() {
			grant.ChannelData = memberData(member)
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
		if _, err := protocol.ParseMember(grant.ChannelData); err != nil {
			return Grant{}, unusable(ReasonNoMember, "the API's reply: "+err.Error())
		}
	}
	return grant, nil
}

// noSecret refuses an encrypted channel whose key only the API can make.
func noSecret(channel string) *Refusal {
	return unusable(ReasonNoSecret, "the API's reply for "+channel+
		" has no shared_secret: encrypted channels need Laravel's reverb or pusher driver, with an encryption master key, for authorisation")
}

// memberData is the channel_data of a member, user_id as a string.
func memberData(m *protocol.Member) string {
	b := append([]byte(`{"user_id":`), protocol.QuoteData([]byte(m.UserID))...)
	if m.Info != nil {
		b = append(b, `,"user_info":`...)
		b = append(b, m.Info...)
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
