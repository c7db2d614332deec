package test

import (
	"strings"
	"testing"

	"broadcastd/test/attack"
)

func TestAttacksDocNamesTests(t *testing.T) { checkNames(t, "docs/attacks.md", 30) }

// TestAttacksDocHasTheAttacks demands a row for each.
func TestAttacksDocHasTheAttacks(t *testing.T) {
	doc := read(t, "docs", "attacks.md")
	for _, a := range attack.All() {
		if !strings.Contains(doc, "\n| "+a.Name) {
			t.Errorf("docs/attacks.md has no row for %q", a.Name)
		}
	}
}
