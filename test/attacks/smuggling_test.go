package attacks_test

import (
	"context"
	"testing"
	"time"

	"broadcastd/test/attack"
	"broadcastd/test/daemon"
)

// TestSmuggling sends what a proxy in front might read as one request and the
// daemon as two, or the other way round. None gets a second answer, what hides is
// never done, and where the daemon had to guess it reads no further.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	d := daemon.Start(t, daemon.Options{})
	w := newWitnesses(d)
	target := target(d)
	// A length is one way to say it, and all of it is the body of the GET.
	clear := map[string]bool{"a body of a GET": true}
	for _, s := range attack.Smuggling(target) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		status, closed, second, err := s.Send(ctx, target)
		cancel()
		switch {
		case err != nil:
			t.Errorf("%s: %v", s.Name, err)
		case second != 0:
			t.Errorf("%s: answered with %d and again with %d", s.Name, status, second)
		case !closed && !clear[s.Name]:
			t.Errorf("%s: answered with %d, and the connection stays", s.Name, status)
		}
		w.hear(t)
	}
	// What hides is a request that would be done.
	if status := attack.Hidden(context.Background(), target); status != 200 {
		t.Errorf("sent openly, it is answered with %d", status)
	}
	for _, c := range w.clients {
		c.Want(channel, attack.SmuggledEvent, "{}")
	}
}
