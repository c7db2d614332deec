package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestScalingDocNamesTests(t *testing.T) { checkNames(t, "docs/scaling.md", 20) }

// TestScalingDocHasTheMetrics demands a row for each metric of a cluster, and no
// other.
func TestScalingDocHasTheMetrics(t *testing.T) {
	_, rows, _ := strings.Cut(read(t, "docs", "scaling.md"), "\n### Metrics\n")
	rows, _, _ = strings.Cut(rows, "\n### ")
	name := regexp.MustCompile(`broadcastd_(?:cluster|log)_\w+`)
	code := read(t, "redisbridge", "cluster", "metrics.go")
	exported := name.FindAllString(code, -1)
	if len(exported) == 0 {
		t.Error("redisbridge/cluster/metrics.go has no metrics")
	}
	for _, metric := range exported {
		if !strings.Contains(rows, "\n| `"+metric) {
			t.Errorf("docs/scaling.md has no row for %s", metric)
		}
	}
	for _, metric := range name.FindAllString(rows, -1) {
		if !strings.Contains(code, metric) {
			t.Errorf("docs/scaling.md names %s, which there is not", metric)
		}
	}
}

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

// TestLinksOfScalingDoc demands that the files that it links are there.
func TestLinksOfScalingDoc(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(read(t, "docs", "scaling.md"), -1) {
		if _, err := os.Stat(filepath.Join("..", "docs", filepath.FromSlash(link[1]))); err != nil {
			t.Error(err)
		}
	}
}
