package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"broadcastd/protocol"
)

// Credentials are an app's key, which is public, and its secret.
type Credentials struct{ Key, Secret string }

// SignChannel allows one connection to join a channel: "key:signature", as
// the member auth of pusher:subscribe carries it. channelData is the member
// data of a presence channel and empty elsewhere.
func SignChannel(key, secret string, id protocol.SocketID, channel, channelData string) string {
	return key + ":" + sign(secret, channelText(id, channel, channelData))
}

// VerifyChannel checks the auth of a pusher:subscribe. channelData is what
// came with it; that a presence channel has any is the caller's check, and so
// is the channel's name. Reasons: malformed, other_key, bad_signature.
func VerifyChannel(auth, key, secret string, id protocol.SocketID, channel, channelData string) error {
	return verify(auth, key, secret, channelText(id, channel, channelData))
}

// SignUser confirms who a connection's user is: "key:signature", as
// pusher:signin carries it with the same userData.
func SignUser(key, secret string, id protocol.SocketID, userData string) string {
	return key + ":" + sign(secret, userText(id, userData))
}

// VerifyUser checks the auth of a pusher:signin. Reasons as of [VerifyChannel].
func VerifyUser(auth, key, secret string, id protocol.SocketID, userData string) error {
	return verify(auth, key, secret, userText(id, userData))
}

// channelText is what a channel's signature covers. Neither a socket id nor a
// channel name can hold a colon, so that no two cases give the same text.
func channelText(id protocol.SocketID, channel, channelData string) string {
	text := id.String() + ":" + channel
	if channelData != "" {
		text += ":" + channelData
	}
	return text
}

func userText(id protocol.SocketID, userData string) string {
	return id.String() + "::user::" + userData
}

func verify(auth, key, secret, text string) error {
	gotKey, signature, found := strings.Cut(auth, ":")
	switch {
	case !found || gotKey == "" || signature == "":
		return unauthorized(ReasonMalformed, "auth is not of the form key:signature")
	case gotKey != key:
		return unauthorized(ReasonOtherKey, "auth was made with another app's key: the API and the client must use the same REVERB_APP_KEY")
	case !matches(signature, secret, text):
		return unauthorized(ReasonBadSignature, "auth does not match this connection and channel: check that the API has this app's secret (REVERB_APP_SECRET) and signs what the client sent")
	}
	return nil
}

// sign is the HMAC-SHA256 of text in lower-case hex.
func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// matches compares in constant time. With an empty secret anyone could sign,
// so nothing matches it.
func matches(signature, secret, text string) bool {
	return secret != "" && hmac.Equal([]byte(signature), []byte(sign(secret, text)))
}
