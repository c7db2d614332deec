package channels

import (
	"slices"
	"sync"

	"broadcastd/protocol"
)

// MaxWatchlist is how many users a client may watch, as in Pusher.
const MaxWatchlist = 100

// Users are an app's signed-in users, and who watches them. Of a single node,
// Enter and Exit are all that happens: a user is online while any of their
// connections is signed in. In a cluster who is online is told from outside, by
// Watch and SetOnline.
type Users struct {
	mu   sync.Mutex // guards the following
	byID map[string]*user
}

// user is one who is signed in, watched from here, or both.
type user struct {
	connections int  // that Enter counted
	online      bool // as their watchers were told
	watchers    map[Subscriber]struct{}
}

// NewUsers makes an empty list.
func NewUsers() *Users { return &Users{byID: make(map[string]*user)} }

// Enter signs a connection in: those who watch the user are told if it is the
// first, and the client which users of its watchlist are online. The caller
// sees to it that a connection is signed in once.
func (u *Users) Enter(s Subscriber, id string, watchlist []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.of(id)
	user.connections++
	user.set(id, true)
	var online []string
	for _, other := range watchlist {
		if u.watch(s, other).online {
			online = append(online, other)
		}
	}
	greet(s, online)
}

// Exit ends what Enter with the same values began.
func (u *Users) Exit(s Subscriber, id string, watchlist []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unwatch(s, watchlist)
	user := u.byID[id]
	if user.connections--; user.connections == 0 {
		user.set(id, false)
		u.forget(id, user)
	}
}

// Watch tells s which users of its watchlist are online, and from now on when
// that changes.
func (u *Users) Watch(s Subscriber, watchlist, online []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range watchlist {
		u.of(id).set(id, slices.Contains(online, id))
		u.watch(s, id)
	}
	greet(s, online)
}

// Unwatch ends what Watch began.
func (u *Users) Unwatch(s Subscriber, watchlist []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unwatch(s, watchlist)
}

// SetOnline tells a user's watchers, if it is news to them. Who isn't watched
// isn't remembered.
func (u *Users) SetOnline(id string, online bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if user := u.byID[id]; user != nil {
		user.set(id, online)
	}
}

// Watched lists the users whom somebody watches.
func (u *Users) Watched() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var ids []string
	for id, user := range u.byID {
		if len(user.watchers) > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// The following need u.mu.

func (u *Users) of(id string) *user {
	if u.byID[id] == nil {
		u.byID[id] = &user{}
	}
	return u.byID[id]
}

func (u *Users) watch(s Subscriber, id string) *user {
	user := u.of(id)
	if user.watchers == nil {
		user.watchers = make(map[Subscriber]struct{})
	}
	user.watchers[s] = struct{}{}
	return user
}

func (u *Users) unwatch(s Subscriber, watchlist []string) {
	for _, id := range watchlist {
		if user := u.byID[id]; user != nil {
			delete(user.watchers, s)
			u.forget(id, user)
		}
	}
}

func (u *Users) forget(id string, user *user) {
	if user.connections == 0 && len(user.watchers) == 0 {
		delete(u.byID, id)
	}
}

func (user *user) set(id string, online bool) {
	if user.online == online {
		return
	}
	user.online = online
	if len(user.watchers) == 0 {
		return
	}
	name := "offline"
	if online {
		name = "online"
	}
	frame := protocol.Watchlist(name, []string{id})
	for watcher := range user.watchers {
		watcher.Send(frame)
	}
}

func greet(s Subscriber, online []string) {
	if len(online) > 0 {
		s.Send(protocol.Watchlist("online", online))
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
