package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// reloadable is a valid configuration that a test may change.
func reloadable() Config {
	c := Default()
	c.App.ID, c.App.Key, c.App.Secret = "1", "one", secret
	other := c.App
	other.ID, other.Key = "2", "two"
	c.Apps = []App{other}
	return c
}

func TestReload(t *testing.T) {
	withLog := func(c *Config) { c.Redis.URL, c.Redis.Source = "redis://127.0.0.1:6379", SourceStream }
	hears := func(c *Config) { c.Redis.URL, c.Apps = "redis://127.0.0.1:6379", nil }
	tests := map[string]struct {
		before           func(*Config) // what both have
		change           func(*Config)
		applied, restart []string
		want             func(*Config) // what then runs differs from before in this; nil: as change says
	}{
		"nothing": {change: func(*Config) {}},
		"what counts at once": {
			change: func(c *Config) {
				c.Log.Level, c.ShutdownTimeout, c.App.Secret, c.Apps[0].CacheTTL = "warn", time.Minute, "new", time.Minute
				c.Apps[0].AllowedOrigins = []string{"example.com"}
			},
			applied: []string{"shutdown_timeout", "log.level", "apps[1].secret", "apps[2].allowed_origins", "apps[2].cache_ttl"},
		},
		"what needs a restart": {
			change: func(c *Config) {
				c.Port, c.Redis.URL, c.Auth.Headers, c.Log.Format, c.Log.Level = 9, "redis://h", nil, "json", "warn"
			},
			applied: []string{"log.level"},
			restart: []string{"port", "log.format", "redis.url", "auth.headers"},
			want:    func(c *Config) { c.Log.Level = "warn" },
		},
		"apps come and go": {
			change: func(c *Config) {
				third := c.App
				third.ID, third.Key = "3", "three"
				c.Apps = []App{third}
			},
			applied: []string{"apps[3] (added)", "apps[2] (removed)"},
		},
		"apps of a log stay": {
			before: withLog,
			change: func(c *Config) {
				c.Apps[0].ID, c.App.MaxEventSize, c.App.MaxUserInfo = "3", 5, 5
			},
			applied: []string{"apps[1].max_user_info"},
			restart: []string{"apps[1].max_event_size", "apps[3] (added)", "apps[2] (removed)"},
			want:    func(c *Config) { c.App.MaxUserInfo = 5 },
		},
		"the app of Redis's one prefix stays": {
			before:  hears,
			change:  func(c *Config) { c.App.ID = "3" },
			restart: []string{"apps[3] (added)", "apps[1] (removed)"},
			want:    func(*Config) {},
		},
		"TLS goes on": {
			change:  func(c *Config) { c.TLS = TLS{"c", "k"} },
			restart: []string{"tls.cert", "tls.key"},
			want:    func(*Config) {},
		},
		"another certificate": {
			before:  func(c *Config) { c.TLS = TLS{"c", "k"} },
			change:  func(c *Config) { c.TLS = TLS{"c", "k2"} },
			applied: []string{"tls.key"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			make := func(changes ...func(*Config)) Config {
				c := reloadable()
				for _, change := range changes {
					if change != nil {
						change(&c)
					}
				}
				return c
			}
			if test.want == nil {
				test.want = test.change
			}
			running, want := make(test.before), make(test.before, test.want)
			got, changes, err := Reload(running, make(test.before, test.change))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(changes.Applied, test.applied) || !slices.Equal(changes.Restart, test.restart) {
				t.Errorf("applied %q, restart %q; want %q, %q", changes.Applied, changes.Restart, test.applied, test.restart)
			}
			if !reflect.DeepEqual(got.AllApps(), want.AllApps()) {
				t.Errorf("apps\n%+v, want\n%+v", got.AllApps(), want.AllApps())
			}
			got.App, got.Apps, want.App, want.Apps = App{}, nil, App{}, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v, want\n%+v", got, want)
			}
			if again := make(test.before); !reflect.DeepEqual(running, again) {
				t.Errorf("what ran was changed to\n%+v", running)
			}
		})
	}
}

// What is not applied is told of again, and what is applied isn't.
func TestReloadTwice(t *testing.T) {
	loaded := reloadable()
	loaded.Port, loaded.Log.Level = 9, "warn"
	next, _, _ := Reload(reloadable(), loaded)
	_, changes, err := Reload(next, loaded)
	if err != nil || len(changes.Applied) > 0 || !slices.Equal(changes.Restart, []string{"port"}) {
		t.Errorf("the second time: %+v", changes)
	}
}

// A mixture of what runs and what is loaded can be invalid: nothing is applied.
func TestReloadMixture(t *testing.T) {
	running, loaded := reloadable(), reloadable()
	running.Redis.URL, running.Redis.Source = "redis://127.0.0.1:6379", SourceStream
	running.App.MaxEventSize = 2 << 10
	loaded.Redis = running.Redis
	loaded.App.MaxEventSize, loaded.App.MaxOutbox = 1<<10, 1<<10
	got, changes, err := Reload(running, loaded)
	if err == nil || !strings.Contains(err.Error(), "max_outbox") || len(changes.Applied) > 0 || !reflect.DeepEqual(got, running) {
		t.Errorf("got %+v, %v", changes, err)
	}
}

func TestReloadTags(t *testing.T) {
	for _, k := range append(slices.Clone(configKeys), appKeys...) {
		if !slices.Contains([]string{"", reloadNow, reloadNew, reloadAlone}, k.reload) {
			t.Errorf("%s has the reload tag %q", k.path, k.reload)
		}
	}
}

// TestReloadIsDocumented demands that the table of docs/restarts.md has each key that a
// reload can change where it belongs, and no other.
func TestReloadIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/restarts.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		reloadNow:   "| at once | ",
		reloadAlone: "| at once, or after a restart where events come out of a log (`scaling.enabled`, `redis.source`) | ",
		reloadNew:   "| for clients that connect later | ",
	}
	for tag, begin := range rows {
		_, row, ok := strings.Cut(string(text), "\n"+begin)
		row, _, _ = strings.Cut(row, "\n")
		if !ok {
			t.Fatalf("there is no row %q", begin)
		}
		var got, want []string
		for _, name := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(row, -1) {
			got = append(got, name[1])
		}
		for _, k := range configKeys {
			if k.reload == tag {
				want = append(want, strings.TrimPrefix(k.path, "app."))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the row %q has\n%q, want\n%q", begin, got, want)
		}
	}
}
