package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func valueOf(v any) reflect.Value { return reflect.ValueOf(v) }

// addFiles seeds a fuzz target with the files that match a pattern.
func addFiles(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
}

// FuzzLoad reads any text as a configuration file. Every error names a place,
// and what was read can be validated and printed.
func FuzzLoad(f *testing.F) {
	addFiles(f, shipped, "testdata/bad/*.yaml", "testdata/invalid/*.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		l := newLoader()
		l.yaml("c.yaml", []byte(text))
		l.readLists()
		for _, err := range l.errs {
			if !strings.HasPrefix(err.Error(), "c.yaml:") {
				t.Errorf("an error without a place: %v", err)
			}
		}
		loaded := Loaded{Config: l.cfg, From: l.from}
		_ = loaded.validate()
		var out strings.Builder
		if err := loaded.Print(&out); err != nil {
			t.Error(err)
		}
		for _, a := range l.cfg.AllApps() {
			if len(a.Secret) > 60 && strings.Contains(out.String(), a.Secret) {
				t.Error("a secret is printed")
			}
		}
	})
}

// FuzzEnvFile reads any text as a .env. What it holds, written in single
// quotes, is read as the same.
func FuzzEnvFile(f *testing.F) {
	addFiles(f, "testdata/env/*.env")
	f.Add("A=\"a\nb\" # c\nB='${A}'\nexport C=${A}$B\\\n'D'=\"\\$\\n\"\r\nE\n")
	f.Add("A=\"\\")
	f.Add("=\"'#${")
	f.Fuzz(func(t *testing.T, text string) {
		vars, line, err := parseEnvFile(text, nil)
		if err != nil {
			if line < 1 || line > 1+strings.Count(text, "\n")+strings.Count(text, "\r") {
				t.Errorf("line %d of %q", line, text)
			}
			return
		}
		for name, value := range vars {
			if strings.ContainsAny(value, "'\r\n") {
				continue
			}
			again, _, err := parseEnvFile(name+"='"+value+"'", nil)
			if err != nil || again[name] != value {
				t.Errorf("%s: %q became %q: %v", name, value, again[name], err)
			}
		}
		l := newLoader()
		env := map[string]variable{}
		for name, value := range vars {
			env[name] = newVariable(value, "env-file .env: "+name)
		}
		l.laravel(env)
		l.environment(env)
		l.readLists()
	})
}
