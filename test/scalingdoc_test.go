package test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestScalingDocNamesTests(t *testing.T) { checkNames(t, "docs/scaling.md", 20) }

// TestScalingDocHasTheKeys demands a row for each key in Redis.
func TestScalingDocHasTheKeys(t *testing.T) {
	doc := read(t, "docs", "scaling.md")
	keys := regexp.MustCompile(`tag \+ "(\w+)`).FindAllStringSubmatch(read(t, "redisbridge", "cluster", "keys.go"), -1)
	if len(keys) < 10 {
		t.Errorf("redisbridge/cluster/keys.go has %d keys", len(keys))
	}
	for _, key := range keys {
		if !regexp.MustCompile("\n\\| [^|]*`" + key[1] + "[:`]").MatchString(doc) {
			t.Errorf("docs/scaling.md has no row for the key %s", key[1])
		}
	}
}

// TestScalingDocTellsTheRefusals demands the texts of the HTTP API.
func TestScalingDocTellsTheRefusals(t *testing.T) {
	doc := read(t, "docs", "scaling.md")
	code := read(t, "internal", "server", "cluster.go")
	texts := regexp.MustCompile(`"([^"\n]*events[^"\n]*)"`).FindAllStringSubmatch(code, -1)
	if len(texts) != 2 {
		t.Fatalf("internal/server/cluster.go has %d texts about events", len(texts))
	}
	for _, text := range texts {
		if !strings.Contains(doc, "| `"+text[1]+"` |") {
			t.Errorf("docs/scaling.md lacks %q", text[1])
		}
	}
}

func TestLinksOfScalingDoc(t *testing.T) { checkLinks(t, "scaling.md") }

// checkLinks demands that the files that a document links are there, and in them the
// headings.
func checkLinks(t *testing.T, doc string) {
	t.Helper()
	links := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)]+))?\)`).FindAllStringSubmatch(strings.ReplaceAll(read(t, "docs", doc), "\n", " "), -1)
	if len(links) == 0 {
		t.Errorf("docs/%s has no links", doc)
	}
	for _, link := range links {
		file, heading := link[1], link[2]
		if strings.Contains(file, "://") {
			continue
		}
		path := filepath.Join("..", "docs", filepath.FromSlash(cmp.Or(file, doc)))
		if _, err := os.Stat(path); err != nil {
			t.Errorf("docs/%s: %v", doc, err)
			continue
		}
		if heading == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(anchors(string(text)), heading) {
			t.Errorf("docs/%s: %s has no heading #%s", doc, path, heading)
		}
	}
}

// anchors are those that GitHub gives headings: lower case, without punctuation,
// and with - for spaces.
func anchors(text string) (all []string) {
	drop := regexp.MustCompile(`[^\w\- ]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-"))
	}
	return all
}
