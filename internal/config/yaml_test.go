package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// badFiles are the files of testdata/bad and their errors after "file:".
var badFiles = map[string][]string{
	"unknown-key":       {`4: unknown key "redis.ulr"; did you mean "redis.url"?`},
	"unknown-section":   {`1: unknown key "reids"; did you mean "redis"?`},
	"misplaced-key":     {`1: unknown key "ping_interval"; did you mean "app.ping_interval"?`},
	"unknown-far":       {`2: unknown key "redis.cluster"; the keys here are url, source, prefix, sources, required`},
	"unknown-in-app":    {`4: unknown key "apps[0].secrte"; did you mean "apps[0].secret"?`},
	"unknown-in-source": {`4: unknown key "redis.sources[0].application"; the keys here are prefix, app`},
	"duplicate-key":     {`3: key "port" stands here a second time; the first is at FILE:1`},
	"duplicate-in-app":  {`4: key "apps[0].key" stands here a second time; the first is at FILE:3`},
	"two-documents":     {`2: a second document begins here; only one is read, so remove the line ---`},
	"not-yaml":          {`2: not valid YAML: found unexpected end of stream`},
	"tab":               {`2: not valid YAML: found character that cannot start any token`},
	"unquoted-star":     {` not valid YAML: a value that begins with * must be quoted`},
	"root-list":         {`1: the file: expected keys and values, got a list`},
	"section-string":    {`1: redis: expected keys and values, got a string`},
	"list-string":       {`1: apps: expected a list, got a string`},
	"entry-string":      {`2: apps[0]: expected keys and values, got a string`},
	"entry-empty":       {`2: apps[0]: the entry is empty`},
	"string-bool":       {`2: app.key: expected a string, got true or false`},
	"string-list":       {`2: app.secret: expected a string, got a list`},
	"int-string":        {`1: port: expected an integer, got a string`},
	"int-float":         {`1: port: expected an integer, got a decimal number`},
	"int-too-large":     {`1: port: expected an integer, got a decimal number`},
	"bool-string":       {`1: debug: expected true or false, got a string`},
	"duration-word":     {`1: shutdown_timeout: "soon" is not a duration such as 60s, 2m or 60, which are seconds`},
	"duration-overflow": {`1: shutdown_timeout: "9223372036854775807" is not a duration such as 60s, 2m or 60, which are seconds`},
	"size-word":         {`1: max_request_size: "1 megabyte" is not a size such as 10000, 100KiB or 1MiB`},
	"size-overflow":     {`1: max_request_size: "99999999999GiB" is not a size such as 10000, 100KiB or 1MiB`},
	"strings-map":       {`2: app.allowed_origins: expected a list of strings, got keys and values`},
	"strings-nested":    {`2: app.allowed_origins: expected a list of strings, got one with a list in it`},
	"unknown-in-webhook": {
		`3: unknown key "app.webhooks[0].event"; did you mean "app.webhooks[0].events"?`,
		`6: unknown key "apps[0].webhooks[0].filter"; the keys here are url, headers, events, channel_prefix, channel_suffix`,
	},
	"webhooks-map":     {`2: app.webhooks: expected a list, got keys and values`},
	"webhooks-strings": {`3: app.webhooks[0]: expected keys and values, got a string`},
	"webhook-headers": {
		`4: app.webhooks[0].headers: expected names and values, got a list`,
		`7: app.webhooks[1].headers["X-A"]: expected a string, got a list`,
		`8: app.webhooks[1].headers["X-B"]: expected a string, got nothing`,
		`10: app.webhooks[1].headers["X-C"]: the name stands here a second time`,
		`11: app.webhooks[1].headers[""]: expected a name, got a list`,
	},
	"control-character": {` not valid YAML: control characters are not allowed`},
	"several": {
		`1: unknown key "prot"; did you mean "port"?`,
		`2: debug: expected true or false, got an integer`,
		`3: host: expected a string, got a list`,
	},
}

func TestBadFiles(t *testing.T) {
	for name, path := range testdata(t, "bad") {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Options{File: path, Env: withApp})
			wantError(t, err, inFile(t, path, badFiles, name)...)
		})
	}
}

// testdata lists the YAML files of a directory.
func testdata(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata/%s: %v", dir, err)
	}
	byName := map[string]string{}
	for _, path := range files {
		byName[strings.TrimSuffix(filepath.Base(path), ".yaml")] = path
	}
	return byName
}

// inFile completes the expected lines for a file, which must have some.
func inFile(t *testing.T, path string, all map[string][]string, name string) []string {
	t.Helper()
	lines := slices.Clone(all[name])
	if lines == nil {
		t.Fatalf("no error is listed for %s", path)
	}
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "FILE", path)
		if line[0] < 'a' {
			lines[i] = path + ":" + lines[i]
		}
	}
	return lines
}

func TestGoodValues(t *testing.T) {
	path := write(t, "c.yaml", `
%YAML 1.1
---
port: 0
path: /a/b
max_request_size: 10 kB
shutdown_timeout: 1h30m
redis:
  prefix: ""
auth:
  timeout: 3
app: &defaults
  id: 0123
  key: 2024-01-01
  secret: 1e3
  allowed_origins: "*.example.com"
  max_outbox: 2MiB
  rate_limiting: {decay_seconds: 90}
`[1:])
	l := mustLoad(t, Options{File: path})
	c := l.Config
	for name, pair := range map[string][2]any{
		"port":    {c.Port, 0},
		"path":    {c.Path, "/a/b"},
		"size":    {c.MaxRequestSize, 10000},
		"timeout": {displayDuration(c.ShutdownTimeout), "1h30m"},
		"prefix":  {strings.Join(c.Redis.Prefix, ",") + "|", "|"},
		"seconds": {displayDuration(c.Auth.Timeout), "3s"},
		"id":      {c.App.ID, "0123"},
		"key":     {c.App.Key, "2024-01-01"},
		"secret":  {c.App.Secret, "1e3"},
		"origins": {strings.Join(c.App.AllowedOrigins, ","), "*.example.com"},
		"MiB":     {c.App.MaxOutbox, 2 << 20},
		"decay":   {displayDuration(c.App.RateLimiting.Decay), "1m30s"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestAliases(t *testing.T) {
	path := write(t, "c.yaml", `
app: {id: "1", key: a, secret: `+secret+`, allowed_origins: &sites [a.example, b.example]}
apps:
  - {id: "2", key: b, secret: `+secret+`, allowed_origins: *sites}
`)
	l := mustLoad(t, Options{File: path})
	if got := l.Config.Apps[0].AllowedOrigins; !slices.Equal(got, []string{"a.example", "b.example"}) {
		t.Errorf("got %q", got)
	}
}

func TestUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(Options{File: dir}); err == nil || !strings.HasPrefix(err.Error(), "cannot read the configuration: ") {
		t.Errorf("a directory as file: %v", err)
	}
}
