package redisbridge

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// shownChannels is how many channels of a prefix Print lists.
const shownChannels = 10

// nothingCame is what to look at when the app broadcasts and Redis is silent.
const nothingCame = `No event was published in Redis meanwhile. If the app did broadcast one:
  - Does it broadcast through Redis? BROADCAST_CONNECTION=redis (before Laravel 11
    BROADCAST_DRIVER), and a connection "redis" in config/broadcasting.php.
  - Is it this Redis? REDIS_URL, or REDIS_HOST and REDIS_PORT.
  - Does a queue worker run? Events that implement ShouldBroadcast are queued.
  - May its Redis user publish? phpredis reports success when an ACL refuses it.
`

const prefixUnclear = `Laravel knows its prefix: php artisan config:show database.redis.options.prefix
`

// Print writes the summary for the operator, with what to set if events came
// that are not heard.
func (s *Summary) Print(w io.Writer) error {
	var b strings.Builder
	for i := range s.Groups {
		s.Groups[i].write(&b)
	}
	for _, source := range s.Silent {
		fmt.Fprintf(&b, "Prefix %q of app %s: nothing came.\n", source.Prefix, source.App)
	}
	if len(s.Foreign) > 0 {
		fmt.Fprintf(&b, "Other channels, without any event:\n")
		writeChannels(&b, s.Foreign, func(f Sighting) string { return show(f.Channel) })
	}
	if s.events() == 0 {
		b.WriteString("\n" + nothingCame)
	}
	s.writeAdvice(&b)
	_, err := io.WriteString(w, strings.TrimLeft(b.String(), "\n"))
	return err
}

func (g *Group) write(b *strings.Builder) {
	switch {
	case g.wrongName():
		fmt.Fprintf(b, "Prefix %q: heard by the prefix %q, but under names with the rest of it in front, such as %s.\n",
			g.Prefix, g.Source.Prefix, show(g.Channels[0].Channel[len(g.Source.Prefix):]))
	case g.Heard:
		fmt.Fprintf(b, "Prefix %q: heard, for app %s.\n", g.Prefix, g.Source.App)
	case g.Guessed:
		fmt.Fprintf(b, "Prefix %q: NOT HEARD, no configured prefix fits.\n", g.Prefix)
	default:
		fmt.Fprintf(b, "A prefix that the names don't show: NOT HEARD, no configured prefix fits.\n")
	}
	writeChannels(b, g.Channels, func(s Sighting) string {
		switch {
		case s.Events == 0:
			return show(g.nameOf(s)) + "  (no events)"
		case g.nameErr(s) != nil:
			return show(g.nameOf(s)) + "  (skipped: no client can subscribe to a channel of that name)"
		}
		return show(g.nameOf(s))
	})
}

func writeChannels(b *strings.Builder, channels []Sighting, line func(Sighting) string) {
	for i, s := range channels {
		if i == shownChannels {
			fmt.Fprintf(b, "          and %d more channels\n", len(channels)-i)
			return
		}
		fmt.Fprintf(b, "  %6d  %s\n", s.Messages, line(s))
	}
}

// events counts those that were seen.
func (s *Summary) events() int {
	n := 0
	for _, g := range s.Groups {
		for _, channel := range g.Channels {
			n += channel.Events
		}
	}
	return n
}

// writeAdvice says what to set, if events came that are not heard.
func (s *Summary) writeAdvice(b *strings.Builder) {
	var missing []string
	unclear := false
	for _, g := range s.Groups {
		switch {
		case g.Guessed:
			missing = append(missing, g.Prefix)
		case !g.Heard:
			unclear = true
		}
	}
	if len(missing) > 0 {
		b.WriteString("\nIf these events are this app's and shall reach its clients, set in config.yaml\n\n    redis:\n")
		if s.severalApps() {
			b.WriteString("      sources:\n")
			for _, source := range s.sources {
				fmt.Fprintf(b, "        - {prefix: %q, app: %q}\n", source.Prefix, source.App)
			}
			for _, prefix := range missing {
				fmt.Fprintf(b, "        - {prefix: %q, app: ID OF ITS APP}\n", prefix)
			}
		} else {
			fmt.Fprintf(b, "      prefix: [%s]\n", strings.Join(s.prefixesWith(missing), ", "))
		}
	}
	if unclear {
		b.WriteString("\n" + prefixUnclear)
	}
}

func (s *Summary) severalApps() bool {
	return slices.ContainsFunc(s.sources, func(other Source) bool { return other.App != s.sources[0].App })
}

// prefixesWith are the configured prefixes and the missing ones, quoted.
func (s *Summary) prefixesWith(missing []string) []string {
	var all []string
	for _, source := range s.sources {
		all = append(all, strconv.Quote(source.Prefix))
	}
	for _, prefix := range missing {
		all = append(all, strconv.Quote(prefix))
	}
	return all
}

// show writes a channel's name, quoted if anything in it isn't plain.
func show(name string) string {
	if quoted := strconv.Quote(name); name == "" || strings.ContainsRune(name, ' ') || quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
