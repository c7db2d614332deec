package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestRestartsDocNamesTests(t *testing.T) { checkNames(t, "docs/restarts.md", 20) }

func TestLinksOfRestartsDoc(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(read(t, "docs", "restarts.md"), -1) {
		if _, err := os.Stat(filepath.Join("..", "docs", filepath.FromSlash(link[1]))); err != nil {
			t.Error(err)
		}
	}
}
