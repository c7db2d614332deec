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
type Nobody struct{}

func (Nobody) Occupied(string)               {}
func (Nobody) Vacated(string)                {}
func (Nobody) MemberAdded(string, string)    {}
func (Nobody) MemberRemoved(string, string)  {}
func (Nobody) CacheMissed(string)            {}
func (Nobody) SubscriptionCount(string, int) {}
func (Nobody) ClientEvent(*protocol.Event)   {}
