package webhook

import (
	"sync/atomic"

	"broadcastd/protocol"
)

// Teller has the methods by which a Sender is told what happened. It is a
// channels.Observer.
type Teller struct {
	sender  *Sender
	id      string
	may     func() bool
	receipt *receipt // nil: nobody waits
}

// Telling returns what takes one thing that happened. It is told with an id, and
// done is called once, when every hook that hears of it has taken it, or has
// lost it for want of room or after too many tries; of a departure and the return
// that undoes it, when both are known. What the end of the Sender leaves is never
// done: it may be told again, by whoever goes on.
//
// may is asked, under a lock of this package, before a departure is told that was
// held back; one that may not be told any more is never done. If it is nil, the
// event may have been told before, and a departure is not held back, since a return
// must not undo what a receiver may know.
//
// done may be called before the Teller's method returns, or by another goroutine,
// but under none of this package's locks: it may call the Sender, and take every
// lock under which its caller tells nothing.
func (s *Sender) Telling(id string, may func() bool, done func()) Teller {
	r := &receipt{done: done}
	r.hold()
	return Teller{sender: s, id: id, may: may, receipt: r}
}

// Occupied tells that a channel has its first subscriber.
func (t Teller) Occupied(channel string) {
	t.tell((*Sender).arrived, event{Name: ChannelOccupied, Channel: channel}, ChannelVacated)
}

// Vacated tells that a channel's last subscriber has left.
func (t Teller) Vacated(channel string) {
	t.tell((*Sender).departed, event{Name: ChannelVacated, Channel: channel}, ChannelOccupied)
}

// MemberAdded tells of a user's first connection in a presence channel.
func (t Teller) MemberAdded(channel, userID string) {
	t.tell((*Sender).arrived, event{Name: MemberAdded, Channel: channel, UserID: userID}, MemberRemoved)
}

// MemberRemoved tells that a user's last connection has left.
func (t Teller) MemberRemoved(channel, userID string) {
	t.tell((*Sender).departed, event{Name: MemberRemoved, Channel: channel, UserID: userID}, MemberAdded)
}

// CacheMissed tells that somebody subscribed to a cache channel that has no
// event to give them.
func (t Teller) CacheMissed(channel string) {
	t.tell((*Sender).happened, event{Name: CacheMiss, Channel: channel}, "")
}

// SubscriptionCount tells how many subscribers a channel has.
func (t Teller) SubscriptionCount(channel string, n int) {
	t.tell((*Sender).happened, event{Name: SubscriptionCount, Channel: channel, Count: &n}, "")
}

// ClientEvent tells what a client sent to a channel.
func (t Teller) ClientEvent(e *protocol.Event) {
	if !t.sender.told(e.Channel, ClientEvent, "") {
		t.receipt.release()
		return
	}
	text := dataText(e.Data)
	t.tell((*Sender).happened, event{
		Name: ClientEvent, Channel: e.Channel, UserID: e.UserID, Event: e.Name, Data: &text, SocketID: e.Except.String(),
	}, "")
}

// tell passes an event on, if a hook is told of it or of its opposite.
func (t Teller) tell(how func(*Sender, event), e event, opposite string) {
	if !t.sender.told(e.Channel, e.Name, opposite) {
		t.receipt.release()
		return
	}
	e.ID, e.may, e.receipt = t.id, t.may, t.receipt
	how(t.sender, e)
}

// receipt counts those that have yet to take an event. A nil one counts nothing.
type receipt struct {
	left atomic.Int32
	done func()
}

func (r *receipt) hold() {
	if r != nil {
		r.left.Add(1)
	}
}

// drop ends what hold began, and reports whether it was the last.
func (r *receipt) drop() bool { return r != nil && r.left.Add(-1) == 0 }

// release is drop for who holds no lock.
func (r *receipt) release() {
	if r.drop() {
		r.done()
	}
}
