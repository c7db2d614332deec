// Package attack is what hostile clients do to a daemon, over the network and
// knowing no more of it than they would. The tests in test/attacks run all of it in
// small, bench's scenario attacks measures it.
package attack

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Target is the daemon, and the app whose clients the attackers are.
type Target struct {
	Addr               string
	AppID, Key, Secret string // forged signatures use another secret
	Channel, Room      string // a private and a presence channel in which others are
	MaxMessage         int    // app.max_message_size, in bytes
	// Stay is how often those who stay connected do what they do.
	Stay int
	// Spread lets attackers come from many addresses of 127.0.0.0/8, which only
	// Linux has by itself.
	Spread bool
}

// Attack is one kind of hostility.
type Attack struct {
	Name string // as docs/attacks.md calls it
	// Many: what hurts is the number of attackers, and each needs a descriptor at
	// both ends. Otherwise a few do all that they can.
	Many bool
	// Compression is whether app.compression must be true.
	Compression bool

	// strike is one go of attacker number i. It returns what it got: Answered, or
	// how the daemon ended it. Once ctx is over, all reading and writing fails.
	strike func(ctx context.Context, t *Target, i int) string
}

// What attackers get, besides "closed" with a code, and "HTTP" with a status.
const (
	Answered = "answered" // all that it asked
	Cut      = "cut"      // the connection, without a word
	Held     = "held"     // nothing: it was still connected when the attack ended
)

// Got is how often attackers got what.
type Got map[string]int

// String is the most frequent first.
func (g Got) String() string {
	kinds := slices.SortedFunc(maps.Keys(g), func(a, b string) int {
		if g[a] != g[b] {
			return g[b] - g[a]
		}
		return strings.Compare(a, b)
	})
	for i, kind := range kinds {
		kinds[i] = strconv.Itoa(g[kind]) + " × " + kind
	}
	return strings.Join(kinds, ", ")
}

// All are the attacks, in the order of docs/attacks.md.
func All() []Attack {
	return slices.Concat(handshakes, requests, frames, channels)
}

// Named is one of All.
func Named(name string) (Attack, bool) {
	all := All()
	i := slices.IndexFunc(all, func(a Attack) bool { return a.Name == name })
	if i < 0 {
		return Attack{}, false
	}
	return all[i], true
}

// Run has attackers strike so many times each, 0 meaning without an end, and at
// most until ctx is over.
func (a Attack) Run(ctx context.Context, t *Target, attackers, times int) Got {
	var mu sync.Mutex
	got := Got{}
	var running sync.WaitGroup
	for i := range attackers {
		running.Go(func() {
			for n := 0; ctx.Err() == nil && (times == 0 || n < times); n++ {
				what := a.strike(ctx, t, i)
				mu.Lock()
				got[what]++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return got
}
