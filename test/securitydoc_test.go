package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestSecurityDocNamesTests(t *testing.T) { checkNames(t, "docs/security.md", 50) }

// TestLinksOfSecurityDoc demands that the files that it links are there.
func TestLinksOfSecurityDoc(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(read(t, "docs", "security.md"), -1) {
		if _, err := os.Stat(filepath.Join("..", "docs", filepath.FromSlash(link[1]))); err != nil {
			t.Error(err)
		}
	}
}

// secretNames are of variables and fields that hold what nobody may guess.
var secretNames = regexp.MustCompile(`(?i)(secret|signature|token|password|credential)s?$`)

// TestSecretsAreComparedInConstantTime looks for comparisons of secrets, by their
// names, that take longer the more of one is right. With a literal, such as "",
// and with nil, nothing is given away.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	var compared []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case path != ".." && entry.IsDir() && (name[0] == '.' || name == "node_modules" || name == "testdata" || name == "bench" || name == "examples"):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := comparisons(string(text))
		for _, where := range found {
			compared = append(compared, path+":"+where)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range compared {
		t.Errorf("%s compares a secret; use hmac.Equal or subtle.ConstantTimeCompare", where)
	}
}

// comparisons finds those of secrets, as line and column.
func comparisons(source string) (found []string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, 0)
	if err != nil {
		return nil, err
	}
	isSecret := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return secretNames.MatchString(e.Name)
		case *ast.SelectorExpr:
			return secretNames.MatchString(e.Sel.Name)
		}
		return false
	}
	isHarmless := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.BasicLit:
			return true
		case *ast.Ident:
			return e.Name == "nil"
		case *ast.SelectorExpr:
			return e.Sel.Name == "DevSecret" // which is none
		}
		return false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		var a, b ast.Expr
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				a, b = n.X, n.Y
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) == 2 && regexp.MustCompile(`^(Equal|EqualFold|Compare|HasPrefix)$`).MatchString(f.Sel.Name) {
				if pkg, ok := f.X.(*ast.Ident); ok && (pkg.Name == "bytes" || pkg.Name == "strings") {
					a, b = n.Args[0], n.Args[1]
				}
			}
		}
		if a != nil && (isSecret(a) || isSecret(b)) && !isHarmless(a) && !isHarmless(b) {
			found = append(found, strings.TrimPrefix(files.Position(n.Pos()).String(), "-:"))
		}
		return true
	})
	return found, nil
}

func TestComparisonsAreFound(t *testing.T) {
	for source, want := range map[string]bool{
		`a.Secret == b`: true, `signature != sign(x)`: true, `strings.EqualFold(x, token)`: true, `bytes.Equal(password, x)`: true,
		`a.Secret == ""`: false, `nil != credentials`: false, `hmac.Equal(signature, x)`: false, `key == other`: false,
	} {
		found, err := comparisons("package p\nfunc f() bool { return " + source + " }")
		if err != nil || (len(found) > 0) != want {
			t.Errorf("%s: found %q, %v", source, found, err)
		}
	}
}
