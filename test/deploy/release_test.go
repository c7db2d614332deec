package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestManPagesAndCompletions: each command has a page, and the shells understand
// their completions.
func TestManPagesAndCompletions(t *testing.T) {
	dir := docs(t)
	help, err := broadcastd(t, nil, "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(help), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	pages := []string{"broadcastd"}
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; name != "help" {
			pages = append(pages, "broadcastd-"+name)
		}
	}
	if len(pages) < 5 {
		t.Fatalf("broadcastd help lists %q", pages)
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(dir, "man", page+".1"))
		if err != nil || !strings.Contains(string(text), `.TH "`+strings.ToUpper(page)+`" "1"`) {
			t.Errorf("man page %s: %v\n%.300s", page, err, text)
		}
	}
	run(t, "bash", "-n", filepath.Join(dir, "completions", "broadcastd.bash"))
	out := run(t, "bash", "-c", `
		source "$1/completions/broadcastd.bash"
		COMP_WORDS=("$2" ver) COMP_CWORD=1 COMP_LINE="$2 ver" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
		_get_comp_words_by_ref() { cur=ver prev=$2 words=("${COMP_WORDS[@]}") cword=1; }
		_init_completion() { _get_comp_words_by_ref; }
		words=("${COMP_WORDS[@]}") cur=ver prev=$2 cword=1
		__start_broadcastd
		printf '%s\n' "${COMPREPLY[@]}"`, "bash", dir, program(t))
	if !strings.Contains(out, "version") {
		t.Errorf("bash completes ver to %q", out)
	}
	if out, err := exec.Command("go", "version", "-m", program(t)).Output(); err != nil || strings.Contains(string(out), "md2man") {
		t.Errorf("the daemon carries the writer of man pages: %v", err)
	}
}

// TestReleaseFiles: all that .goreleaser.yaml packs is there, it builds as the
// Makefile does, and what it sets in the program exists.
func TestReleaseFiles(t *testing.T) {
	type content struct{ Src, Dst, Type string }
	release := parse[struct {
		Before struct{ Hooks []string }
		Builds []struct {
			Main    string
			Ldflags []string
		}
		Archives []struct{ Files []any }
		Nfpms    []struct {
			Contents []content
			Scripts  map[string]string
		}
	}](t, read(t, ".goreleaser.yaml"))
	dir := docs(t)
	var packed []string
	for _, file := range release.Archives[0].Files {
		switch file := file.(type) {
		case string:
			packed = append(packed, file)
		case map[string]any:
			packed = append(packed, file["src"].(string))
		}
	}
	for _, p := range release.Nfpms {
		for _, c := range p.Contents {
			packed = append(packed, c.Src)
			if unit, ok := strings.CutPrefix(c.Dst, "/usr/lib/systemd/system/"); ok && filepath.Base(c.Src) != unit {
				t.Errorf("%s becomes the unit %s", c.Src, unit)
			}
		}
		for _, script := range p.Scripts {
			packed = append(packed, script)
			run(t, "sh", "-n", root(script))
		}
	}
	if len(packed) < 15 {
		t.Fatalf(".goreleaser.yaml packs %q", packed)
	}
	for _, file := range packed {
		path := root(strings.ReplaceAll(file, "**/", "*/"))
		if made, ok := strings.CutPrefix(file, "bin/docs/"); ok {
			path = filepath.Join(dir, made)
		}
		if found, err := filepath.Glob(path); err != nil || len(found) == 0 {
			t.Errorf(".goreleaser.yaml packs %s, which there is not (%v)", file, err)
		}
	}

	makefile := read(t, "Makefile")
	variables := regexp.MustCompile(`-X (main\.\w+)=`)
	build := release.Builds[0]
	got, want := variables.FindAllString(build.Ldflags[0], -1), variables.FindAllString(regexp.MustCompile(`(?m)^LDFLAGS.*$`).FindString(makefile), -1)
	if strings.Join(got, " ") != strings.Join(want, " ") || len(got) != 2 {
		t.Errorf(".goreleaser.yaml sets %q, the Makefile %q", got, want)
	}
	if _, err := os.Stat(root(build.Main, "main.go")); err != nil {
		t.Error(err)
	}
	if hook := strings.Fields(release.Before.Hooks[0]); !regexp.MustCompile(`(?m)^` + hook[1] + `:`).MatchString(makefile) {
		t.Errorf("the Makefile has no %s", hook[1])
	}

	if out := run(t, program(t), "version"); !strings.HasPrefix(out, "broadcastd v1.2.3 (commit 0123456789ab, go") {
		t.Errorf("version prints %q", out)
	}
}

// docs has the man pages and completions made, once, as `make docs` does.
func docs(t *testing.T) string {
	t.Helper()
	dir, err := makeDocs()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var makeDocs = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(folder, "docs")
	cmd := exec.Command("go", "run", "-trimpath", "-tags", "docs", "./cmd/broadcastd", "docs", dir)
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go run -tags docs: %w\n%s", err, out)
	}
	return dir, nil
})
