package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// named finds the tests that a document names: a file and, after a colon, a Go
// test with perhaps a case of its table, or the title of a Node test.
var named = regexp.MustCompile("`([\\w./-]+(?:_test\\.go|\\.test\\.mjs)):([^`]+)`")

func read(t *testing.T, elem ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{".."}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProtocolDocNamesTests(t *testing.T) { checkNames(t, "docs/protocol.md", 100) }

// checkNames demands that a document names some tests at least, and that they
// exist.
func checkNames(t *testing.T, doc string, least int) {
	t.Helper()
	found := named.FindAllStringSubmatch(read(t, filepath.FromSlash(doc)), -1)
	if len(found) < least {
		t.Fatalf("%s names %d tests: are they still written as `file:Name`?", doc, len(found))
	}
	for _, match := range found {
		file, name := match[1], match[2]
		node := strings.HasSuffix(file, ".mjs")
		switch {
		case path.Dir(file) != ".":
		case node:
			file = path.Join("test/clients", file)
		default:
			file = path.Join("internal/server", file)
		}
		text := read(t, filepath.FromSlash(file))
		if node {
			if !strings.Contains(strings.ReplaceAll(text, `\'`, `'`), name) {
				t.Errorf("%s: %s has no test called %q", doc, file, name)
			}
			continue
		}
		function, row, isRow := strings.Cut(name, "/")
		_, body, ok := strings.Cut(text, "\nfunc "+function+"(")
		body, _, _ = strings.Cut(body, "\n}\n")
		if !ok || isRow && !strings.Contains(body, `"`+row+`":`) {
			t.Errorf("%s: %s has no test %s", doc, file, name)
		}
	}
}

// TestProtocolDocHasTheCloseCodes demands a row for each constant.
func TestProtocolDocHasTheCloseCodes(t *testing.T) {
	doc := read(t, "docs", "protocol.md")
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "protocol", "close.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if code, ok := n.(*ast.BasicLit); ok && code.Kind == token.INT {
			codes++
			if !strings.Contains(doc, "\n| "+code.Value+" |") {
				t.Errorf("docs/protocol.md has no row for the code %s of protocol/close.go", code.Value)
			}
		}
		return true
	})
	if codes == 0 {
		t.Error("protocol/close.go has no codes")
	}
}

func TestProtocolDocHasTheRoutes(t *testing.T) {
	doc := read(t, "docs", "protocol.md")
	var api struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "docs", "openapi.yaml")), &api); err != nil {
		t.Fatal(err)
	}
	if len(api.Paths) == 0 {
		t.Error("docs/openapi.yaml has no paths")
	}
	for address, item := range api.Paths {
		for method := range item {
			if method == "parameters" || method == "servers" {
				continue
			}
			if route := strings.ToUpper(method) + " " + address; !strings.Contains(doc, "`"+route+"`") {
				t.Errorf("docs/protocol.md has no row for %s", route)
			}
		}
	}
}
