package auth

import (
	"strings"
	"testing"

	"broadcastd/protocol"
)

// The key and secret of the examples in Pusher's documentation.
const (
	docKey    = "278d425bdf160c739803"
	docSecret = "7ad3773142a6692b25b8"
)

func socketID(tb testing.TB, text string) protocol.SocketID {
	tb.Helper()
	id, ok := protocol.ParseSocketID(text)
	if !ok || id == 0 {
		tb.Fatalf("%q is no socket id", text)
	}
	return id
}

// The vectors are from Pusher's documentation; the presence one there is of
// an older text, and this one was computed for the text printed.
func TestSignatureVectors(t *testing.T) {
	id := socketID(t, "1234.1234")
	const member = `{"user_id":10,"user_info":{"name":"Mr. Channels"}}`
	for name, tt := range map[string]struct{ got, want string }{
		"private": {
			SignChannel(docKey, docSecret, id, "private-foobar", ""),
			"58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4",
		},
		"presence": {
			SignChannel(docKey, docSecret, id, "presence-foobar", member),
			"31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
		},
		"user": {
			SignUser(docKey, docSecret, id, `{"id":"12345"}`),
			"4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba",
		},
	} {
		if want := docKey + ":" + tt.want; tt.got != want {
			t.Errorf("%s: signed %s, want %s", name, tt.got, want)
		}
	}
	if err := VerifyChannel(SignChannel(docKey, docSecret, id, "presence-foobar", member), docKey, docSecret, id, "presence-foobar", member); err != nil {
		t.Errorf("VerifyChannel of our own signature: %v", err)
	}
	if err := VerifyUser(SignUser(docKey, docSecret, id, `{"id":"1"}`), docKey, docSecret, id, `{"id":"1"}`); err != nil {
		t.Errorf("VerifyUser of our own signature: %v", err)
	}
}

func TestVerifyChannelRefuses(t *testing.T) {
	id := socketID(t, "1234.1234")
	const channel = "private-foobar"
	valid := SignChannel(docKey, docSecret, id, channel, "")
	key, signature, _ := strings.Cut(valid, ":")
	for name, tt := range map[string]struct {
		auth, secret, channel, data string
		id                          protocol.SocketID
		want                        string
	}{
		"empty":              {"", docSecret, channel, "", id, ReasonMalformed},
		"no colon":           {key + signature, docSecret, channel, "", id, ReasonMalformed},
		"no key":             {":" + signature, docSecret, channel, "", id, ReasonMalformed},
		"no signature":       {key + ":", docSecret, channel, "", id, ReasonMalformed},
		"other key":          {"other:" + signature, docSecret, channel, "", id, ReasonOtherKey},
		"key with more":      {key + "0:" + signature, docSecret, channel, "", id, ReasonOtherKey},
		"other secret":       {valid, docSecret + "0", channel, "", id, ReasonBadSignature},
		"empty secret":       {key + ":" + sign("", "1234.1234:private-foobar"), "", channel, "", id, ReasonBadSignature},
		"other channel":      {valid, docSecret, channel + "2", "", id, ReasonBadSignature},
		"other socket":       {valid, docSecret, channel, "", id + 1, ReasonBadSignature},
		"data added":         {valid, docSecret, channel, "{}", id, ReasonBadSignature},
		"upper-case hex":     {key + ":" + strings.ToUpper(signature), docSecret, channel, "", id, ReasonBadSignature},
		"shortened":          {valid[:len(valid)-1], docSecret, channel, "", id, ReasonBadSignature},
		"lengthened":         {valid + "0", docSecret, channel, "", id, ReasonBadSignature},
		"a second colon":     {valid + ":", docSecret, channel, "", id, ReasonBadSignature},
		"a user's signature": {SignUser(docKey, docSecret, id, "x"), docSecret, channel, "", id, ReasonBadSignature},
	} {
		err := VerifyChannel(tt.auth, docKey, tt.secret, tt.id, tt.channel, tt.data)
		if got := reasonOf(t, err); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		} else if status := refusal(t, err).Status; status != 401 {
			t.Errorf("%s: status %d, want 401", name, status)
		}
		if err != nil && strings.Contains(err.Error(), signature) {
			t.Errorf("%s: the message gives the signature away: %v", name, err)
		}
	}
	for i := range len(valid) {
		flipped := []byte(valid)
		flipped[i] ^= 1
		if VerifyChannel(string(flipped), docKey, docSecret, id, channel, "") == nil {
			t.Errorf("auth verifies with byte %d changed", i)
		}
	}
	if reasonOf(t, VerifyUser(valid, docKey, docSecret, id, "x")) != ReasonBadSignature {
		t.Error("a channel's signature verifies as a user's")
	}
}
