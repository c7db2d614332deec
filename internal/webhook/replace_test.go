package webhook

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
)

// TestReplace: the hook that is gone still gets what it was to be told, signed as
// it was; a departure that was held back belongs to the new one.
func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		works := make(chan struct{})
		n := &network{answer: func(req *http.Request) int {
			if req.URL.Host == "hook.example" {
				<-works
			}
			return http.StatusOK
		}}
		o, _, _ := options(n)
		s := mustNew(t, o)
		s.Occupied("a")
		synctest.Wait() // the request is under way
		s.Occupied("b")
		s.Vacated("b")
		if err := s.Replace("new-key", "new-secret", []Hook{{URL: "http://new.example"}}); err != nil {
			t.Fatal(err)
		}
		s.Occupied("c")
		close(works)
		mustShutdown(t, s)
		equal(t, "the former", n.events(t, "hook.example"), []string{"channel_occupied a", "channel_occupied b"})
		equal(t, "the new one", n.events(t, "new.example"), []string{"channel_occupied c", "channel_vacated b"})
		var keys []string
		for _, p := range n.all() {
			keys = append(keys, p.header.Get("X-Pusher-Key"))
		}
		slices.Sort(keys)
		if keys = slices.Compact(keys); !slices.Equal(keys, []string{testKey, "new-key"}) {
			t.Errorf("signed with %q", keys)
		}
	})
}

// Hooks that can't be are no reason to lose those that are there.
func TestReplaceInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s := mustNew(t, o)
		if s.Replace(testKey, testSecret, []Hook{{URL: "ftp://x"}}) == nil {
			t.Error("an ftp address was taken")
		}
		s.Occupied("a")
		mustShutdown(t, s)
		equal(t, "told", n.events(t, "hook.example"), []string{"channel_occupied a"})
		if err := s.Replace(testKey, testSecret, o.Hooks); err != nil {
			t.Errorf("after the end: %v", err)
		}
	})
}
