package channels

import "broadcastd/protocol"

// Observer hears what happens to an app's channels, for webhooks. It is called
// under a channel's lock, in the order in which things happen, and must not
// wait.
type Observer interface {
	Occupied(channel string)
	Vacated(channel string)
	MemberAdded(channel, userID string)
	MemberRemoved(channel, userID string)
	CacheMissed(channel string)
	SubscriptionCount(channel string, n int)
	// ClientEvent is told of by who publishes it, without a lock.
	ClientEvent(e *protocol.Event)
}

// Nobody is an Observer who does nothing.
var Nobody Observer = nobody{}

type nobody struct{}

func (nobody) Occupied(string)               {}
func (nobody) Vacated(string)                {}
func (nobody) MemberAdded(string, string)    {}
func (nobody) MemberRemoved(string, string)  {}
func (nobody) CacheMissed(string)            {}
func (nobody) SubscriptionCount(string, int) {}
func (nobody) ClientEvent(*protocol.Event)   {}
