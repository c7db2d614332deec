package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestOperationsDocNamesTests(t *testing.T) { checkNames(t, "docs/operations.md", 20) }

func TestLinksOfOperationsDoc(t *testing.T) { checkLinks(t, "operations.md") }

// TestOperationsDocHasTheMetrics demands a row for each metric of the daemon, and no
// other.
func TestOperationsDocHasTheMetrics(t *testing.T) {
	name := regexp.MustCompile(`^broadcastd_\w+$`)
	metrics := map[string]bool{}
	for _, file := range daemonFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := literal(n); ok && name.MatchString(text) {
				metrics[text] = true
			}
			return true
		})
	}
	compareRows(t, "Metrics", "metric", metrics, func(cell string) string {
		name, _, _ := strings.Cut(cell, "{") // its labels
		return name
	})
}

// TestOperationsDocHasTheMessages demands a row for each message that is logged at
// warn or error, and no other.
func TestOperationsDocHasTheMessages(t *testing.T) {
	messages := map[string]bool{}
	for _, file := range daemonFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			if message, ok := warning(n); ok {
				messages[message] = true
			}
			return true
		})
	}
	compareRows(t, "Log messages", "the message", messages, func(cell string) string { return cell })
}

// compareRows compares what there is with the first column of a section's table.
func compareRows(t *testing.T, section, kind string, exist map[string]bool, of func(cell string) string) {
	t.Helper()
	if len(exist) < 20 {
		t.Errorf("the source has only %d of the kind %s: does the test still find them?", len(exist), kind)
	}
	_, text, _ := strings.Cut(read(t, "docs", "operations.md"), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		explained[of(row[1])] = true
	}
	for _, name := range slices.Sorted(maps.Keys(exist)) {
		if !explained[name] {
			t.Errorf("docs/operations.md doesn't explain %s %s (a row of its section %q)", kind, name, section)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(explained)) {
		if !exist[name] {
			t.Errorf("docs/operations.md explains %s %s, which there is not", kind, name)
		}
	}
}

// levels is where slog's methods have the message. Those that are given a level count
// unless it is a lower one by its name.
var levels = map[string]int{"Warn": 0, "Error": 0, "WarnContext": 1, "ErrorContext": 1, "Log": 2, "LogAttrs": 2}

// warning is the message of a call that logs at warn or error.
func warning(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	at, ok := levels[method.Sel.Name]
	if !ok || len(call.Args) <= at {
		return "", false
	}
	if at == 2 {
		if level, ok := call.Args[1].(*ast.SelectorExpr); ok && (level.Sel.Name == "LevelInfo" || level.Sel.Name == "LevelDebug") {
			return "", false
		}
	}
	return literal(call.Args[at])
}

func literal(n ast.Node) (string, bool) {
	text, ok := n.(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(text.Value)
	return value, err == nil
}

// daemonFiles are the sources that the daemon is made of.
func daemonFiles(t *testing.T) (files []*ast.File) {
	t.Helper()
	for pkg := range layers {
		err := filepath.WalkDir(filepath.Join("..", filepath.FromSlash(pkg)), func(path string, _ fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			files = append(files, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}
