package channels

import (
	"fmt"
	"slices"
	"testing"
)

func watchlistEvent(name, ids string) string {
	return fmt.Sprintf(`{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"%s\",\"user_ids\":[%s]}]}"}`, name, ids)
}

func TestUsers(t *testing.T) {
	_, sub := newTestHub()
	u := NewUsers()
	ann, ann2, bob, eve := sub(0), sub(1), sub(0), sub(1)
	event := watchlistEvent

	u.Enter(bob, "bob", []string{"ann", "eve"})
	expect(t, bob)
	u.Enter(ann, "ann", nil)
	expect(t, bob, event("online", `\"ann\"`))
	u.Enter(ann2, "ann", nil)
	expect(t, bob)
	u.Enter(eve, "eve", []string{"ann", "bob", "zoe"})
	expect(t, eve, event("online", `\"ann\",\"bob\"`))
	expect(t, bob, event("online", `\"eve\"`))
	u.Exit(ann, "ann", nil)
	expect(t, bob)
	u.Exit(ann2, "ann", nil)
	expect(t, bob, event("offline", `\"ann\"`))
	expect(t, eve, event("offline", `\"ann\"`))
	u.Exit(bob, "bob", []string{"ann", "eve"})
	expect(t, eve, event("offline", `\"bob\"`))
	u.Exit(eve, "eve", []string{"ann", "bob", "zoe"})
	expect(t, bob)
	if len(u.byID) != 0 {
		t.Errorf("%d users are remembered after all have left", len(u.byID))
	}
}

// TestUsersAreTold: who is online comes from outside.
func TestUsersAreTold(t *testing.T) {
	_, sub := newTestHub()
	u := NewUsers()
	ann, bob := sub(0), sub(1)

	u.SetOnline("zoe", true) // nobody watches her
	u.Watch(bob, []string{"ann", "eve"}, []string{"eve"})
	expect(t, bob, watchlistEvent("online", `\"eve\"`))
	u.SetOnline("ann", true)
	u.SetOnline("ann", true)
	expect(t, bob, watchlistEvent("online", `\"ann\"`))
	u.Watch(ann, []string{"eve"}, nil) // the others' news are old
	expect(t, ann)
	expect(t, bob, watchlistEvent("offline", `\"eve\"`))
	watched := u.Watched()
	slices.Sort(watched)
	if !slices.Equal(watched, []string{"ann", "eve"}) {
		t.Errorf("watched are %v", watched)
	}

	u.Unwatch(bob, []string{"ann", "eve"})
	u.Unwatch(ann, []string{"eve"})
	u.SetOnline("ann", false)
	u.SetOnline("eve", true)
	expect(t, bob)
	if len(u.byID) != 0 {
		t.Errorf("%d users are remembered after all have left", len(u.byID))
	}
}

func TestWatchlist(t *testing.T) {
	var ids []string
	for i := range 150 {
		ids = append(ids, fmt.Sprint(i/2)) // each twice
	}
	if list, cut := Watchlist(ids); len(list) != 75 || cut {
		t.Errorf("%d users, cut %v; want 75, not cut", len(list), cut)
	}
	for i := range 150 {
		ids = append(ids, fmt.Sprint("u", i))
	}
	if list, cut := Watchlist(ids); len(list) != MaxWatchlist || !cut {
		t.Errorf("%d users, cut %v; want %d, cut", len(list), cut, MaxWatchlist)
	}
}
