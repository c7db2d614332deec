package channels

import (
	"context"
	"errors"

	"broadcastd/protocol"
)

// Cluster is the nodes that serve an app together, as one of them sees it. All
// have one log: what is published is added to it, and each node delivers what it
// reads there, the one that added it too. Who is where is decided beside the log,
// and what comes of it stands in the log.
//
// A function that is passed is called once, by another goroutine, in the log's
// order: what stood in the log before has been delivered to this node's
// subscribers, and what follows will be to those who subscribe in it. It may take
// a session's lock. While the log is out of reach, the node goes by what it knows.
//
// Methods without a context, but for Kept, return at once, and may be called under a
// session's lock. So no lock that they take is held by whoever calls a function that was
// passed, or one of a Node. What they are given they may keep.
type Cluster interface {
	// Join counts a subscription, and its member in a presence channel. then gets
	// the roster as subscription_succeeded carries it, or ErrFull.
	Join(channel string, m *protocol.Member, then func(presence []byte, err error)) Place
	// Roster is what Join would give who is in a presence channel already. It is
	// called under the channel's lock in the hub, and knows of a change before the
	// hub is told of it.
	Roster(channel string) []byte
	// SignIn counts a connection of a signed-in user.
	SignIn(userID string) Place
	// Online tells which of the users are signed in anywhere. then is called once
	// for each part of them: those asked about, and of these who is online.
	Online(userIDs []string, then func(asked, online []string))
	// Connect counts a connection.
	Connect() Place

	// Publish returns once Redis has kept the events, or not: ErrAway, or another
	// error, after which some of them may be delivered all the same.
	Publish(ctx context.Context, events []protocol.Event) error
	// Whisper publishes a client event. While the log is out of reach it reaches
	// this node's subscribers.
	Whisper(e *protocol.Event)
	// Terminate closes a user's connections on every node.
	Terminate(ctx context.Context, userID string) error
	// CacheMissed tells webhooks of a cache channel that had nothing to give. It
	// is called under the channel's lock in the hub.
	CacheMissed(channel string)
	// Kept says that the hub keeps a channel's last event that did not come from
	// the log. It waits while the log is delivered, and is called under no lock.
	Kept(channel string)

	// Info, Occupied, Users and Connections tell of the whole cluster, as the
	// methods of the same names tell of a hub.
	Info(ctx context.Context, channel string) (Info, error)
	Occupied(ctx context.Context, prefix string) (map[string]Info, error)
	Users(ctx context.Context, channel string) ([]string, error)
	Connections(ctx context.Context) (int, error)

	// Settle returns once the cluster has heard what the end of the node's sessions
	// caused, which must be over. Webhooks are told nothing more here after it.
	Settle(ctx context.Context) error
}

// Place is what a connection has taken in the cluster.
type Place interface {
	// Leave gives it back; a function that waits for it is not called any more,
	// unless it is about to. A second time, and after an error, it does nothing.
	Leave()
}

// ErrAway means that the cluster's log cannot be reached.
var ErrAway = errors.New("the cluster's Redis is away")

// Node is one app on this node, as its cluster sees it.
type Node struct {
	App   string // its id
	Hub   *Hub
	Users *Users
	// Hooks are the app's webhooks; nil: none. One node of a cluster tells them.
	Hooks Hooks

	MaxMembers        int  // of a presence channel; 0: no limit
	MaxEventSize      int  // of an event's data that the API itself adds to the log, bytes
	SubscriptionCount bool // tell subscribers how many they are

	// Deliver hands an event of the log to this node's subscribers. fresh: no
	// node has counted it yet, since the API itself added it.
	Deliver func(e *protocol.Event, fresh bool)
	// Terminate closes a user's connections here.
	Terminate func(userID string)
}

// Hooks are webhooks that can be told with an id, by which a receiver knows what
// it was told before.
type Hooks interface {
	// Telling returns what takes one thing that happened. done is called once,
	// when every webhook has taken it or never will, and not if this node ends
	// before. It may be called at once, by whoever tells. may is asked before a
	// departure is told that was held back; if it says no, that is for another node
	// to tell. It must not wait. nil: what happens may have been told before, and is
	// not held back.
	Telling(id string, may func() bool, done func()) Observer
}
