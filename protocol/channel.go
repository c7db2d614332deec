package protocol

import (
	"fmt"
	"strings"
)

// MaxChannelName is the longest channel name accepted, prefix included, in
// bytes. Pusher documents 164; soketi and Sockudo allow 200, and so do we.
const MaxChannelName = 200

// ServerToUser is the prefix of the channel on which a signed-in user gets
// events of their own. Clients never subscribe to it by name.
const ServerToUser = "#server-to-user-"

// Kind is what a channel's prefix makes of it.
type Kind uint8

// The kinds of channel, by prefix. The cache variants behave like the kind
// that they extend and also keep their last event.
const (
	Public                Kind = iota // no prefix
	Private                           // private-
	PrivateEncrypted                  // private-encrypted-
	Presence                          // presence-
	Cache                             // cache-
	PrivateCache                      // private-cache-
	PrivateEncryptedCache             // private-encrypted-cache-
	PresenceCache                     // presence-cache-
	User                              // #server-to-user-
)

// kinds holds the prefixes, longer ones before those that begin them.
var kinds = []struct {
	prefix string
	kind   Kind
	label  string
}{
	{"private-encrypted-cache-", PrivateEncryptedCache, "private_encrypted_cache"},
	{"private-encrypted-", PrivateEncrypted, "private_encrypted"},
	{"private-cache-", PrivateCache, "private_cache"},
	{"private-", Private, "private"},
	{"presence-cache-", PresenceCache, "presence_cache"},
	{"presence-", Presence, "presence"},
	{"cache-", Cache, "cache"},
	{ServerToUser, User, "user"},
}

// KindOf tells a channel's kind by its name alone; it does not check the name.
func KindOf(name string) Kind {
	for i := range kinds {
		if strings.HasPrefix(name, kinds[i].prefix) {
			return kinds[i].kind
		}
	}
	return Public
}

// Kinds lists every kind, for metrics that must exist before they are used.
func Kinds() []Kind {
	all := []Kind{Public}
	for i := range kinds {
		all = append(all, kinds[i].kind)
	}
	return all
}

// String is the kind's name as metric labels carry it, such as
// "private_encrypted".
func (k Kind) String() string {
	for i := range kinds {
		if kinds[i].kind == k {
			return kinds[i].label
		}
	}
	return "public"
}

// NeedsAuth reports whether a subscription must be signed.
func (k Kind) NeedsAuth() bool { return k != Public && k != Cache }

// IsPresence reports whether the channel has members.
func (k Kind) IsPresence() bool { return k == Presence || k == PresenceCache }

// IsEncrypted reports whether only the clients can read the channel's events.
func (k Kind) IsEncrypted() bool { return k == PrivateEncrypted || k == PrivateEncryptedCache }

// IsCache reports whether the channel keeps its last event.
func (k Kind) IsCache() bool {
	return k == Cache || k == PrivateCache || k == PrivateEncryptedCache || k == PresenceCache
}

// CheckChannel reports why name cannot be a channel's, or nil. The rule is
// Pusher's: letters, digits and _-=@,.; and a '#' only where the server itself
// uses it, in front of server-to-user-.
func CheckChannel(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("channel name is empty")
	case len(name) > MaxChannelName:
		return fmt.Errorf("channel name is %d bytes long, the limit is %d", len(name), MaxChannelName)
	}
	rest := name
	if strings.HasPrefix(name, ServerToUser) {
		if rest = name[1:]; len(name) == len(ServerToUser) {
			return fmt.Errorf("channel name %q lacks the user's id", name)
		}
	}
	for i := 0; i < len(rest); i++ {
		if !channelByte[rest[i]] {
			return fmt.Errorf("channel name %.60q has %q in it; letters, digits and _-=@,.; are allowed", name, rest[i])
		}
	}
	return nil
}

// channelByte tells for each byte whether a channel name may hold it.
var channelByte = func() (ok [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=@,.;" {
		ok[c] = true
	}
	return ok
}()
