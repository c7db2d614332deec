package redisbridge

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"broadcastd/protocol"
)

// Summary tells under which prefixes events came, and whether they are heard.
type Summary struct {
	Groups  []Group
	Silent  []Source   // configured, but nothing came
	Foreign []Sighting // without a single event, and not under a configured prefix

	sources []Source
}

// Group are the channels that came under one prefix.
type Group struct {
	Prefix   string
	Channels []Sighting
	// Source is the one that hears the channels, if Heard.
	Source Source
	Heard  bool
	// Guessed says that the prefix comes from the channels' names, not from
	// the configuration; without it and Heard, it couldn't be told.
	Guessed bool
}

// Summarise sorts what was seen by prefix: the configured one or, where none
// fits or a longer one shows, the one that the channel's name suggests.
func Summarise(seen []Sighting, sources []Source) Summary {
	s := Summary{sources: longestFirst(sources)}
	var unclear []Sighting
	for _, sighting := range seen {
		source, heard := sourceOf(s.sources, sighting.Channel)
		prefix, guessed := guessPrefix(sighting.Channel)
		switch {
		case heard && (!guessed || len(prefix) <= len(source.Prefix)):
			s.group(Group{Prefix: source.Prefix, Source: source, Heard: true}, sighting)
		case sighting.Events == 0:
			s.Foreign = append(s.Foreign, sighting)
		case guessed:
			s.group(Group{Prefix: prefix, Source: source, Heard: heard, Guessed: true}, sighting)
		default:
			unclear = append(unclear, sighting)
		}
	}
	for _, sighting := range unclear {
		s.group(Group{Prefix: s.longestGuess(sighting.Channel)}, sighting)
	}
	for _, source := range s.sources {
		if !slices.ContainsFunc(s.Groups, func(g Group) bool { return g.Heard && g.Source == source }) {
			s.Silent = append(s.Silent, source)
		}
	}
	slices.SortStableFunc(s.Groups, func(a, b Group) int { return cmp.Compare(a.Prefix, b.Prefix) })
	return s
}

// group puts a sighting into the group of that prefix, the given one if new.
func (s *Summary) group(g Group, sighting Sighting) {
	at := slices.IndexFunc(s.Groups, func(other Group) bool { return other.Prefix == g.Prefix })
	if at < 0 {
		at = len(s.Groups)
		s.Groups = append(s.Groups, g)
	}
	s.Groups[at].Channels = append(s.Groups[at].Channels, sighting)
}

// longestGuess is the prefix of a group that was told by other channels.
func (s *Summary) longestGuess(channel string) string {
	longest := ""
	for _, g := range s.Groups {
		if g.Guessed && len(g.Prefix) > len(longest) && strings.HasPrefix(channel, g.Prefix) {
			longest = g.Prefix
		}
	}
	return longest
}

// wrongName tells whether clients would have to put a part of the prefix in
// front of the channel's name.
func (g *Group) wrongName() bool { return g.Heard && g.Guessed }

// nameOf is the name by which clients know a channel of the group.
func (g *Group) nameOf(s Sighting) string { return s.Channel[len(g.Prefix):] }

// prefixShapes are tried in order; the first group is the prefix. Laravel's
// default is the app's name as a slug and "-database-", in projects begun
// before version 12 "_database_". One that was chosen freely shows only in
// front of a channel that isn't public.
var prefixShapes = []*regexp.Regexp{
	regexp.MustCompile(`^(.*?[-_]database[-_])(?:private-|presence-)`),
	regexp.MustCompile(`^(.*?[-_]database[-_])`),
	regexp.MustCompile(`^(|.*?[^a-zA-Z0-9])(?:private-|presence-)`),
}

// guessPrefix tells the prefix by a channel's name, if that has one of the
// usual shapes.
func guessPrefix(channel string) (string, bool) {
	for _, shape := range prefixShapes {
		if match := shape.FindStringSubmatch(channel); match != nil {
			return match[1], true
		}
	}
	return "", false
}

// nameErr is why no client can subscribe to the channel, or nil.
func (g *Group) nameErr(s Sighting) error { return protocol.CheckChannel(g.nameOf(s)) }
