package webhook

import (
	"container/list"
	"time"
)

// held are the departures that wait whether the client comes back: vacated
// channels and removed members, in the order in which they happened.
type held struct {
	order list.List // of departure
	byKey map[whose]*list.Element
}

// whose departure: a channel's, or a user's from it.
type whose struct{ channel, userID string }

type departure struct {
	event event
	due   time.Time
}

// add needs times that never go back.
func (h *held) add(e event, due time.Time) {
	if h.byKey == nil {
		h.byKey = make(map[whose]*list.Element)
	}
	h.byKey[whose{e.Channel, e.UserID}] = h.order.PushBack(departure{e, due})
}

// undo forgets a departure, which it returns, and reports whether there was one.
func (h *held) undo(channel, userID string) (event, bool) {
	el := h.byKey[whose{channel, userID}]
	if el == nil {
		return event{}, false
	}
	return h.drop(el), true
}

func (h *held) len() int { return h.order.Len() }

// nextDue is when the oldest departure is to be told; there must be one.
func (h *held) nextDue() time.Time { return h.order.Front().Value.(departure).due }

// pop removes the oldest departure; there must be one.
func (h *held) pop() event { return h.drop(h.order.Front()) }

func (h *held) drop(el *list.Element) event {
	e := h.order.Remove(el).(departure).event
	delete(h.byKey, whose{e.Channel, e.UserID})
	return e
}
