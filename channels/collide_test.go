package channels

import (
	"testing"

	"broadcastd/test/attack"
)

// TestNamesCannotBeMadeToCollide counts how many of the names that would be in one
// shard, if it were a plain hash's, are in the fullest.
func TestNamesCannotBeMadeToCollide(t *testing.T) {
	hub, sub := newTestHub()
	s := sub(0)
	names := attack.Colliding()
	for _, name := range names {
		subscribe(t, hub, s, name, nil)
	}
	for i := range hub.shards {
		if n := len(hub.shards[i].channels); n > len(names)/10 {
			t.Errorf("shard %d has %d of %d channels", i, n, len(names))
		}
	}
}
