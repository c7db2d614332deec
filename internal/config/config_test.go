package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// secret is part of every secret in testdata, and of no output.
const secret = "s3cr3t"

// shipped is the repository's config.yaml.
const shipped = "../../config.yaml"

// withApp is an environment in which a configuration without an app is valid.
var withApp = []string{"BROADCASTD_APP_ID=1", "BROADCASTD_APP_KEY=key", "BROADCASTD_APP_SECRET=" + secret}

// write puts text into a file of its own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustLoad loads what must be valid.
func mustLoad(t *testing.T, o Options) Loaded {
	t.Helper()
	l, err := Load(o)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return l
}

// wantError compares an error's lines.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("errors:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if strings.Contains(err.Error(), secret) {
		t.Error("a secret is in the error")
	}
}

func TestShippedFileIsTheDefaults(t *testing.T) {
	l, err := Load(Options{File: shipped})
	wantError(t, err, "app: "+noApp)
	if !reflect.DeepEqual(l.Config, Default()) {
		t.Errorf("config.yaml differs from the defaults:\n got %+v\nwant %+v", l.Config, Default())
	}
	for _, k := range configKeys {
		if !strings.HasPrefix(l.From[k.path], shipped+":") {
			t.Errorf("config.yaml lacks %s", k.path)
		}
	}
}

func TestShippedFileHasACommentForEverySetting(t *testing.T) {
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	// Neighbours share a comment: these have theirs at the key before.
	shared := []string{"key", "secret", "decay_seconds", "tls", "log", "admin", "redis", "scaling", "auth", "enabled"}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			if name.HeadComment == "" && !slices.Contains(shared, name.Value) {
				t.Errorf("config.yaml:%d: %s has no comment", name.Line, name.Value)
			}
			if value.Kind == yaml.MappingNode {
				walk(value)
			}
		}
	}
	walk(doc.Content[0])
}

func TestEverySettingHasANameOfItsOwn(t *testing.T) {
	names := map[string]string{}
	for _, k := range configKeys {
		name := envName(k.path)
		if other := names[name]; other != "" {
			t.Errorf("%s and %s are both %s", k.path, other, name)
		}
		names[name] = k.path
	}
	if got := names["BROADCASTD_APP_RATE_LIMITING_MAX_ATTEMPTS"]; got != "app.rate_limiting.max_attempts" {
		t.Errorf("BROADCASTD_APP_RATE_LIMITING_MAX_ATTEMPTS is %q", got)
	}
}

func TestDefaultFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if l := mustLoad(t, Options{Env: withApp}); l.From["port"] != "default" {
		t.Errorf("without a file the port is from %q", l.From["port"])
	}
	if err := os.WriteFile(DefaultFile, []byte("port: 1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := mustLoad(t, Options{Env: withApp})
	if l.Config.Port != 1234 || l.From["port"] != "config.yaml:1" {
		t.Errorf("port %d from %q, want 1234 from config.yaml:1", l.Config.Port, l.From["port"])
	}
}

func TestNamedFilesMustExist(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for name, o := range map[string]Options{
		"config":   {File: missing},
		"env-file": {EnvFile: missing},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load(o); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
				t.Errorf("error %v, want one that names the file", err)
			}
		})
	}
}

func TestEmptyFiles(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":  "",
		"comments": "# nothing\n\n",
		"document": "---\n",
		"null":     "~\n",
		"keys":     "host:\nredis:\napp:\n  allowed_origins:\n  rate_limiting:\napps:\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Load(Options{File: write(t, "c.yaml", text)})
			wantError(t, err, "app: "+noApp)
			if !reflect.DeepEqual(l.Config, Default()) {
				t.Errorf("got %+v, want the defaults", l.Config)
			}
		})
	}
}

// TestPrecedence adds one source after the other.
func TestPrecedence(t *testing.T) {
	t.Chdir(t.TempDir())
	var o Options
	step := func(wantPort int, wantFrom string) {
		t.Helper()
		l, err := Load(o)
		if err != nil && err.Error() != "app: "+noApp {
			t.Fatal(err)
		}
		if l.Config.Port != wantPort || l.From["port"] != wantFrom {
			t.Errorf("port %d from %q, want %d from %q", l.Config.Port, l.From["port"], wantPort, wantFrom)
		}
	}
	step(8080, "default")
	for name, text := range map[string]string{"c.yaml": "\nport: 1\n", ".env": "REVERB_SERVER_PORT=2\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.File = "c.yaml"
	step(1, "c.yaml:2")
	o.EnvFile = ".env"
	step(2, "env-file .env: REVERB_SERVER_PORT")
	o.Env = append(o.Env, "REVERB_SERVER_PORT=3")
	step(3, "env REVERB_SERVER_PORT")
	if err := os.WriteFile(".env", []byte("REVERB_SERVER_PORT=2\nBROADCASTD_PORT=4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	step(4, "env-file .env: BROADCASTD_PORT")
	o.Env = append(o.Env, "BROADCASTD_PORT=5")
	step(5, "env BROADCASTD_PORT")
	o.Flags = map[string]string{"port": "6"}
	step(6, "flag --port")
}

func TestFlags(t *testing.T) {
	l := mustLoad(t, Options{Env: withApp, Flags: map[string]string{
		"host": "::1", "path": "/ws", "debug": "true", "shutdown_timeout": "1m30s", "app.allowed_origins": "a.example, b.example",
	}})
	c := l.Config
	if c.Host != "::1" || c.Path != "/ws" || !c.Debug || displayDuration(c.ShutdownTimeout) != "1m30s" ||
		!slices.Equal(c.App.AllowedOrigins, []string{"a.example", "b.example"}) {
		t.Errorf("got %+v", c)
	}
	_, err := Load(Options{Env: withApp, Flags: map[string]string{"port": "http", "hots": "a"}})
	wantError(t, err,
		`flag --hots: unknown key "hots"`,
		`flag --port: port: "http" is not an integer`)
}

func TestAppsTakeWhatTheyLeaveOut(t *testing.T) {
	path := write(t, "c.yaml", `
app: {ping_interval: 10, allowed_origins: [a.example], rate_limiting: {enabled: true}}
apps:
  - {id: 1001, key: a, secret: `+secret+`, max_connections: 7}
  - {id: 1002, key: b, secret: `+secret+`, ping_interval: 20s, rate_limiting: {max_attempts: 5}}
`)
	l := mustLoad(t, Options{File: path, Env: []string{"BROADCASTD_APP_MAX_EVENT_SIZE=1000"}})
	all := l.Config.AllApps()
	if len(all) != 2 {
		t.Fatalf("%d apps, want 2: app has no credentials", len(all))
	}
	want := Default().App
	want.AllowedOrigins = []string{"a.example"}
	want.RateLimiting.Enabled = true
	want.MaxEventSize = 1000
	first, second := want, want
	first.ID, first.Key, first.Secret, first.PingInterval, first.MaxConnections = "1001", "a", secret, 10e9, 7
	second.ID, second.Key, second.Secret, second.PingInterval, second.RateLimiting.MaxAttempts = "1002", "b", secret, 20e9, 5
	if !reflect.DeepEqual(all, []App{first, second}) {
		t.Errorf("apps:\n got %+v\nwant %+v", all, []App{first, second})
	}
	for path, from := range map[string]string{
		"apps":                               path + ":3",
		"apps[0].id":                         path + ":4",
		"apps[0].ping_interval":              "app.ping_interval",
		"apps[1].ping_interval":              path + ":5",
		"apps[1].max_event_size":             "app.max_event_size",
		"apps[1].rate_limiting.max_attempts": path + ":5",
		"app.max_event_size":                 "env BROADCASTD_APP_MAX_EVENT_SIZE",
	} {
		if l.From[path] != from {
			t.Errorf("%s is from %q, want %q", path, l.From[path], from)
		}
	}
}

func TestAllAppsBeginsWithApp(t *testing.T) {
	c := Default()
	c.App.ID = "1"
	c.Apps = []App{{ID: "2"}}
	if all := c.AllApps(); len(all) != 2 || all[0].ID != "1" || all[1].ID != "2" {
		t.Errorf("got %+v, want the apps 1 and 2", all)
	}
}
