package channels

import (
	"slices"
	"sync"

	"broadcastd/protocol"
)

// MaxWatchlist is how many users a client may watch, as in Pusher.
const MaxWatchlist = 100

// Users are an app's signed-in users, and who watches them. A user is online
// while any of their connections is signed in.
type Users struct {
	mu   sync.Mutex // guards the following
	byID map[string]*signedIn
}

// signedIn is a user who is online, watched, or both.
type signedIn struct {
	connections int
	watchers    map[Subscriber]struct{}
}

// NewUsers makes an empty list.
func NewUsers() *Users { return &Users{byID: make(map[string]*signedIn)} }

func (u *Users) of(id string) *signedIn {
	user := u.byID[id]
	if user == nil {
		user = &signedIn{}
		u.byID[id] = user
	}
	return user
}

// Enter signs a connection in: those who watch the user are told if it is the
// first, and the client which users of its watchlist are online. The caller
// sees to it that a connection is signed in once.
func (u *Users) Enter(s Subscriber, id string, watchlist []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.of(id)
	if user.connections++; user.connections == 1 {
		user.tell("online", id)
	}
	var online []string
	for _, other := range watchlist {
		watched := u.of(other)
		if watched.watchers == nil {
			watched.watchers = make(map[Subscriber]struct{})
		}
		watched.watchers[s] = struct{}{}
		if watched.connections > 0 {
			online = append(online, other)
		}
	}
	if len(online) > 0 {
		s.Send(protocol.Watchlist("online", online))
	}
}

// Exit ends what Enter with the same values began.
func (u *Users) Exit(s Subscriber, id string, watchlist []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, other := range watchlist {
		if watched := u.byID[other]; watched != nil {
			delete(watched.watchers, s)
			u.forget(other, watched)
		}
	}
	user := u.byID[id]
	if user.connections--; user.connections == 0 {
		user.tell("offline", id)
		u.forget(id, user)
	}
}

func (user *signedIn) tell(name, id string) {
	if len(user.watchers) == 0 {
		return
	}
	frame := protocol.Watchlist(name, []string{id})
	for watcher := range user.watchers {
		watcher.Send(frame)
	}
}

func (u *Users) forget(id string, user *signedIn) {
	if user.connections == 0 && len(user.watchers) == 0 {
		delete(u.byID, id)
	}
}

// Watchlist is a user's list without what occurs twice, and whether it was
// longer than it may be; the first 100 count.
func Watchlist(ids []string) (list []string, cut bool) {
	for _, id := range ids {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	if len(list) > MaxWatchlist {
		return list[:MaxWatchlist], true
	}
	return list, false
}
