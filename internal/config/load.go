package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
)

// DefaultFile is read when it exists and no other file is named.
const DefaultFile = "config.yaml"

// Options says where the configuration comes from. The zero value is the
// defaults and, where it exists, DefaultFile.
type Options struct {
	File    string            // a config.yaml that must exist; empty: DefaultFile
	EnvFile string            // a Laravel project's .env that must exist; empty: none
	Env     []string          // NAME=value, as of os.Environ
	Flags   map[string]string // by a setting's path, such as "port"
	Dev     bool              // loopback only, and an app when there is none
}

// Loaded is a configuration and where it came from.
type Loaded struct {
	Config Config
	// From tells by a setting's path, such as "redis.url" or "apps[0].key",
	// what set it: "default", "config.yaml:12", "env BROADCASTD_PORT",
	// "env-file .env: REDIS_HOST", "flag --port", "--dev", or the setting
	// that an entry of apps takes it from, such as "app.ping_interval".
	From map[string]string
}

// Load puts the configuration together and validates it. Its error has one
// line for each mistake, which begins with where the value came from. When
// all can be read and only the validation fails, Loaded is there all the same,
// so that it can be printed.
func Load(o Options) (Loaded, error) {
	l := newLoader()
	l.file(o.File)
	vars := l.variables(o)
	l.laravel(vars)
	l.environment(vars)
	l.flags(o.Flags)
	l.readLists()
	if o.EnvFile != "" {
		l.derivePrefix(vars, o.EnvFile)
	}
	if o.Dev {
		l.dev()
	}
	if l.errs != nil {
		return Loaded{}, errors.Join(l.errs...)
	}
	loaded := Loaded{Config: l.cfg, From: l.from}
	return loaded, loaded.validate()
}

// loader is the configuration under way: each source overrides those before.
type loader struct {
	cfg  Config
	from map[string]string
	// lists are apps, redis.sources and webhooks as last given. They are read
	// at the end, since only then it is known what an app takes from Config.App.
	lists map[string]list
	errs  []error
}

func newLoader() *loader {
	l := &loader{cfg: Default(), from: map[string]string{}, lists: map[string]list{}}
	for _, k := range configKeys {
		l.from[k.path] = originDefault
	}
	return l
}

const (
	originDefault = "default"
	originDev     = "--dev"
)

func (l *loader) fail(origin, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: %w", origin, fmt.Errorf(format, args...)))
}

// set gives a setting a value from text.
func (l *loader) set(k key, text, origin string) {
	field := k.in(reflect.ValueOf(&l.cfg).Elem())
	if isList(field.Type()) {
		l.setList(k, text, origin)
		return
	}
	if err := parse(field, k.kind, text); err != nil {
		l.fail(origin, "%s: %w", k.path, err)
		return
	}
	l.from[k.path] = origin
}

func (l *loader) file(name string) {
	optional := name == ""
	if optional {
		name = DefaultFile
	}
	text, err := os.ReadFile(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("cannot read the configuration: %w", err))
		return
	}
	l.yaml(name, text)
}

func (l *loader) flags(flags map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		k, ok := findKey(configKeys, path)
		if !ok {
			l.fail("flag --"+path, "unknown key %q", path)
			continue
		}
		l.set(k, flags[path], "flag --"+path)
	}
}
