package test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "broadcastd/"

// layers lists what a package may import of this module, as docs/architecture.md
// draws it. A package that is not here may import none, which keeps the
// example and the load generator outside, as their users are. Tests are free.
var layers = map[string][]string{
	"protocol":            {},
	"channels":            {"protocol"},
	"auth":                {"protocol"},
	"redisbridge/cluster": {"channels", "protocol", "redisbridge"},
	"redisbridge":         {"internal/nonblock", "internal/redisurl", "protocol"},
	"internal/socket":     {"protocol"},
	"internal/config":     {"internal/redisurl"},
	"internal/redisurl":   {},
	"internal/logqueue":   {},
	"test/daemon":         {"auth", "protocol"},
	"internal/webhook":    {"protocol"},
	"internal/server":     {"auth", "channels", "internal/config", "internal/nonblock", "internal/socket", "internal/webhook", "protocol"},
	"bench":               {"test/attack"},
	"cmd/broadcastd":      {"auth", "channels", "internal/config", "internal/logqueue", "internal/server", "internal/socket", "protocol", "redisbridge", "redisbridge/cluster"},
	"test/proxy":          {},
	"test/soak":           {"test/proxy"},
}

// impure is what a package without I/O, locks and clock has no use for.
var impure = []string{"context", "log", "net", "os", "sync", "syscall", "time", "unsafe"}

func TestImportsPointInward(t *testing.T) {
	for path, imports := range packages(t) {
		for _, imported := range imports {
			inner, ours := strings.CutPrefix(imported, module)
			if ours && !slices.Contains(layers[path], inner) {
				t.Errorf("%s imports %s; may import of this module: %q", path, inner, layers[path])
			}
		}
	}
}

// pooled is what protocol has all the same: pools for what compression needs,
// and a compressor that touches memory only.
var pooled = []string{"sync", "github.com/klauspost/compress/flate"}

func TestProtocolIsPure(t *testing.T) {
	imports, ok := packages(t)["protocol"]
	if !ok {
		t.Fatal("no package protocol found")
	}
	for _, imported := range imports {
		root, _, _ := strings.Cut(imported, "/")
		if slices.Contains(pooled, imported) {
			continue
		}
		if slices.Contains(impure, root) || strings.Contains(root, ".") {
			t.Errorf("protocol imports %s: it does no I/O, holds no lock and reads no clock", imported)
		}
	}
}

// packages maps the module's packages, by their path in it, to what their files
// import, whatever system these are for. It reads the files itself: the result
// of a test that runs go list would be cached when they change.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case path == "..":
			return nil
		case entry.IsDir() && (name == "node_modules" || name == "testdata" || name[0] == '.'):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[pkg] = append(imports[pkg], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}
