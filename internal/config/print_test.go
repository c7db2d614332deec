package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// printed maps each path to its value and origin.
func printed(t *testing.T, l Loaded) map[string][2]string {
	t.Helper()
	var out strings.Builder
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("a secret is in\n%s", out.String())
	}
	lines := map[string][2]string{}
	column := -1
	for line := range strings.Lines(out.String()) {
		path, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if at := strings.Index(line, strings.TrimLeft(rest, " ")); column >= 0 && at != column {
			t.Errorf("%s: the value is in column %d, others in %d", path, at, column)
		} else {
			column = at
		}
		value, from, _ := strings.Cut(strings.TrimLeft(rest, " "), "  ")
		lines[path] = [2]string{value, strings.TrimLeft(from, " ")}
	}
	return lines
}

func TestPrint(t *testing.T) {
	path := write(t, "c.yaml", `
redis:
  url: redis://laravel:`+secret+`@redis.example.com/1
  sources:
    - {prefix: a-, app: "1"}
    - {prefix: b-, app: "2"}
auth:
  endpoint: https://user:`+secret+`@api.example.com/broadcasting/auth
app: {id: "1", key: a, secret: `+secret+`}
apps:
  - {id: "2", key: b, secret: `+secret+`, max_connections: 5}
`)
	lines := printed(t, mustLoad(t, Options{File: path, Env: []string{"BROADCASTD_PATH=/ws"}, Flags: map[string]string{"port": "80"}}))
	for key, want := range map[string][2]string{
		"host":                               {"0.0.0.0", "default"},
		"port":                               {"80", "flag --port"},
		"path":                               {"/ws", "env BROADCASTD_PATH"},
		"max_request_size":                   {"1MiB", "default"},
		"debug":                              {"false", "default"},
		"redis.url":                          {"redis://laravel:******@redis.example.com/1", path + ":3"},
		"redis.prefix":                       {"[laravel-database-, laravel_database_]", "default"},
		"redis.sources[0].app":               {"1", path + ":5"},
		"redis.sources[1].prefix":            {"b-", path + ":6"},
		"auth.endpoint":                      {"https://user:******@api.example.com/broadcasting/auth", path + ":8"},
		"auth.timeout":                       {"5s", "default"},
		"app.secret":                         {"******", path + ":9"},
		"app.ping_interval":                  {"1m", "default"},
		"apps[0].secret":                     {"******", path + ":11"},
		"apps[0].max_connections":            {"5", path + ":11"},
		"apps[0].max_event_size":             {"100KiB", "app.max_event_size"},
		"apps[0].rate_limiting.max_attempts": {"60", "app.rate_limiting.max_attempts"},
	} {
		if lines[key] != want {
			t.Errorf("%s: got %q, want %q", key, lines[key], want)
		}
	}
	if want := len(configKeys) - 2 + len(appKeys) + 2*len(sourceKeys); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
}

func TestPrintEmptyValues(t *testing.T) {
	l, err := Load(Options{File: shipped})
	wantError(t, err, "app: "+noApp)
	lines := printed(t, l)
	for path, want := range map[string]string{"path": `""`, "redis.url": `""`, "app.secret": `""`, "apps": "[]", "redis.sources": "[]"} {
		if lines[path][0] != want {
			t.Errorf("%s: got %s, want %s", path, lines[path][0], want)
		}
	}
}

func TestMaskURL(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"redis://127.0.0.1:6379/1":          "redis://127.0.0.1:6379/1",
		"redis://u@127.0.0.1":               "redis://u@127.0.0.1",
		"redis://:" + secret + "@127.0.0.1": "redis://:******@127.0.0.1",
		"unix://:" + secret + "@/run/r.sock?db=1":                                  "unix://:******@/run/r.sock?db=1",
		"redis://:" + secret + "/x@127.0.0.1":                                      mask,
		"redis://:" + secret + "@h?master_name=m&password=" + secret + "&addr=i:1": "redis://:******@h?master_name=m&password=******&addr=i:1",
		"redis://h?p%61ssword=" + secret + "&master_name=m":                        "redis://h?p%61ssword=******&master_name=m",
		secret + "@127.0.0.1":                                                      mask,
		"a:" + secret + "@127.0.0.1":                                               mask,
	} {
		if got := maskURL(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestMaskHook(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		"https://a.example/b%20c":          "https://a.example/b%20c",
		"https://" + secret + "@a.example": "https://******@a.example",
		"https://u:" + secret + "@a.example/b?c=" + secret: "https://******@a.example/b?******",
		"http://[::1]:80/#" + secret:                       "http://[::1]:80/",
		"https://a.example/%zz" + secret:                   mask,
		"mailto:" + secret:                                 mask,
		secret:                                             mask,
	} {
		if got := maskHook(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestPrintWebhooks(t *testing.T) {
	path := write(t, "c.yaml", `
app:
  webhooks:
    - url: https://`+secret+`@api.example.com/webhook?token=`+secret+`
      headers: {X-B: `+secret+`, Authorization: Bearer `+secret+`}
      events: [cache_miss]
apps:
  - {id: "1", key: a, secret: `+secret+`}
  - {id: "2", key: b, secret: `+secret+`, webhooks: []}
  - {id: "3", key: c, secret: `+secret+`, webhooks: [{url: "https://c.example"}]}
`)
	l := mustLoad(t, Options{File: path})
	lines := printed(t, l)
	for key, want := range map[string][2]string{
		"app.webhooks[0].url":                {"https://******@api.example.com/webhook?******", path + ":4"},
		"app.webhooks[0].headers":            {"{Authorization: ******, X-B: ******}", path + ":5"},
		"app.webhooks[0].events":             {"[cache_miss]", path + ":6"},
		"apps[0].webhooks[0].url":            {"https://******@api.example.com/webhook?******", "app.webhooks[0].url"},
		"apps[1].webhooks":                   {"[]", path + ":9"},
		"apps[2].webhooks[0].url":            {"https://c.example", path + ":10"},
		"apps[2].webhooks[0].headers":        {"{}", path + ":10"},
		"apps[2].webhooks[0].channel_prefix": {`""`, path + ":10"},
	} {
		if lines[key] != want {
			t.Errorf("%s: got %q, want %q", key, lines[key], want)
		}
	}
	if n := []int{len(l.Config.Apps[0].Webhooks), len(l.Config.Apps[1].Webhooks), len(l.Config.Apps[2].Webhooks)}; !slices.Equal(n, []int{1, 0, 1}) {
		t.Errorf("the apps have %v webhooks, want 1, 0, 1", n)
	}
}

// TestPrintedValuesCanBeRead checks that a printed value sets the same again.
func TestPrintedValuesCanBeRead(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, time.Second, 90 * time.Second, time.Minute, time.Hour, 61 * time.Minute, 25 * time.Hour} {
		if got, err := parseDuration(displayDuration(d)); err != nil || got != d {
			t.Errorf("%v: printed as %s, read as %v, %v", d, displayDuration(d), got, err)
		}
	}
	for _, n := range []int{-1, 0, 1, 1000, 1 << 10, 1<<20 + 1, 3 << 20} {
		if got, err := parseSize(displaySize(n)); err != nil || got != n {
			t.Errorf("%d: printed as %s, read as %d, %v", n, displaySize(n), got, err)
		}
	}
	strs := []string{"a", "", "a b", "a,b", "a\"b", "\t"}
	if got := display(key{}, valueOf(strs)); got != `[a, "", "a b", "a,b", "a\"b", "\t"]` {
		t.Errorf("a list of strings is printed as %s", got)
	}
	if !slices.Equal(splitList("", "a, b"), []string{"a", "b"}) {
		t.Error("a list cannot be read again")
	}
}
