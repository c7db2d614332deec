package redisbridge

import (
	"cmp"
	"slices"
	"strings"
)

// Source gives the events under a prefix to an app.
type Source struct {
	// Prefix is what Redis's channels have in front of the events' channels;
	// empty hears every channel. The longest one that fits decides.
	Prefix string
	// App is the app's id.
	App string
}

// longestFirst is a copy of sources, in the order in which they are tried.
func longestFirst(sources []Source) []Source {
	return slices.SortedStableFunc(slices.Values(sources), func(a, b Source) int {
		return cmp.Compare(len(b.Prefix), len(a.Prefix))
	})
}

// sourceOf finds the source of a channel of Redis among sources, longest first.
func sourceOf(sources []Source, channel string) (Source, bool) {
	for _, s := range sources {
		if strings.HasPrefix(channel, s.Prefix) {
			return s, true
		}
	}
	return Source{}, false
}

// patterns are what to subscribe to for the sources. A prefix that begins with
// another one is left out: Redis would send a message once for each pattern
// that fits.
func patterns(sources []Source) []string {
	var all []string
	for i, s := range sources {
		covered := func(other Source) bool {
			return len(other.Prefix) < len(s.Prefix) && strings.HasPrefix(s.Prefix, other.Prefix)
		}
		same := func(other Source) bool { return other.Prefix == s.Prefix }
		if !slices.ContainsFunc(sources, covered) && !slices.ContainsFunc(sources[:i], same) {
			all = append(all, globEscaper.Replace(s.Prefix)+"*")
		}
	}
	return all
}

// globEscaper makes Redis take a prefix as it is written.
var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
