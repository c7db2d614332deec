package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// report is the verdict in Markdown.
func (s *soak) report(v verdict) string {
	var b strings.Builder
	row := func(what string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", what, value) }
	total := func(by map[string]int) (n int) {
		for _, k := range by {
			n += k
		}
		return n
	}
	b.WriteString("\n| | |\n|---|---|\n")
	row("seed", s.seed)
	row("duration", s.now().Round(time.Second))
	row("clients", s.clients)
	row("their connections", total(v.ends))
	for _, why := range slices.Sorted(maps.Keys(v.ends)) {
		row("– "+why, v.ends[why])
	}
	row("clients that didn't read, closed by nodes", v.slow)
	faults := map[string]int{}
	for _, w := range s.windows {
		faults[w.what]++
	}
	row("**faults**", len(s.windows))
	for _, what := range slices.Sorted(maps.Keys(faults)) {
		row(what, faults[what])
	}
	row("**events, once for each channel**", "accepted, refused, unknown")
	for _, source := range slices.Sorted(maps.Keys(v.published)) {
		n := v.published[source]
		row(source, fmt.Sprintf("%d, %d, %d", n[accepted], n[refused], n[unknown]))
	}
	row("**expected by clients**", total(v.expected))
	row("delivered", total(v.delivered))
	row("lost, explained", total(v.explained))
	for _, why := range slices.Sorted(maps.Keys(v.explained)) {
		row("– "+why, v.explained[why])
	}
	row("**lost, unexplained**", v.unexplained)
	row("come again on another connection, to a node that was behind", total(v.again))
	for _, source := range slices.Sorted(maps.Keys(v.again)) {
		row("– "+source, v.again[source])
	}
	if n := len(v.calm); n > 0 {
		row("**delivery while nothing is wrong**, p50", v.calm[n/2].Round(10*time.Microsecond))
		row("p99", v.calm[n*99/100].Round(10*time.Microsecond))
	}
	row("times that everything was compared", len(s.calms))
	row("**violations**", len(v.violations))
	b.WriteString("\n| node | metric | connections | first quarter | last quarter | slope an hour |\n|---|---|---|---|---|---|\n")
	for _, c := range v.memory {
		unit := ""
		if strings.HasSuffix(c.metric, "bytes") {
			unit = " MiB"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %.0f | %.1f%s | %.1f%s | %+.1f%s |\n", c.node, c.metric, c.connections, c.first, unit, c.last, unit, c.slope, unit)
	}
	if len(v.violations) > 0 {
		b.WriteString("\nViolations:\n\n" + quoted(v.violations, 100))
	}
	return b.String()
}
