package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// The values of the reload tag: when a changed setting counts.
const (
	reloadNow = "now" // at once
	reloadNew = "new" // for clients that connect later
	// reloadAlone is at once, unless events come out of a log: then the nodes, or
	// the reader of the log, keep what they were started with.
	reloadAlone = "alone"
)

// Changes are what a reload did, by the settings' paths. Those of apps have the
// app's id in the place of its number: "apps[1001].max_connections".
type Changes struct {
	Applied []string `json:"applied"`
	Restart []string `json:"needs_restart"` // differ, and count at the next start
}

// Reload is the configuration that a daemon can have at once which runs with one
// and shall have another: the latter, but for what needs a restart. All of its apps
// are in Apps. Its error is that the two can't be mixed, though each is valid.
func Reload(running, loaded Config) (Config, Changes, error) {
	next := running
	r := reloader{log: running.ReadsLog(), Changes: Changes{Applied: []string{}, Restart: []string{}}}
	switchesTLS := (running.TLS.Cert == "") != (loaded.TLS.Cert == "")
	for _, k := range configKeys {
		switch {
		case k.path == "apps" || strings.HasPrefix(k.path, "app."):
		case switchesTLS && strings.HasPrefix(k.path, "tls."):
			r.note(k.path, differs(k, running, loaded), false)
		default:
			r.setting(k, k.path, reflect.ValueOf(&next).Elem(), reflect.ValueOf(loaded))
		}
	}
	next.App, next.Apps = App{}, r.apps(&running, &loaded)
	v := validator{}
	v.apps(&next)
	if err := errors.Join(v.errs...); err != nil {
		return running, Changes{}, fmt.Errorf("until a restart, which other changes need, this would not be valid: %w", err)
	}
	return next, r.Changes, nil
}

type reloader struct {
	Changes
	log bool // events come out of one
}

func differs(k key, running, loaded any) bool {
	return !reflect.DeepEqual(k.in(reflect.ValueOf(running)).Interface(), k.in(reflect.ValueOf(loaded)).Interface())
}

// setting gives next what loaded has, if that can be done.
func (r *reloader) setting(k key, path string, next, loaded reflect.Value) {
	field, value := k.in(next), k.in(loaded)
	changed := !reflect.DeepEqual(field.Interface(), value.Interface())
	can := k.reload == reloadNow || k.reload == reloadNew || k.reload == reloadAlone && !r.log
	r.note(path, changed, can)
	if changed && can {
		field.Set(value)
	}
}

func (r *reloader) note(path string, changed, can bool) {
	switch {
	case !changed:
	case can:
		r.Applied = append(r.Applied, path)
	default:
		r.Restart = append(r.Restart, path)
	}
}

// apps come and go at once, unless a log has them; or Redis's one prefix, whose
// events are the app's that was there at the start.
func (r *reloader) apps(running, loaded *Config) []App {
	fixed := r.log || running.HearsPublish() && len(running.Redis.Sources) == 0
	var next []App
	before := running.AllApps()
	for _, app := range loaded.AllApps() {
		i := slices.IndexFunc(before, func(a App) bool { return a.ID == app.ID })
		if i < 0 {
			r.note(fmt.Sprintf("apps[%s] (added)", app.ID), true, !fixed)
			if !fixed {
				next = append(next, app)
			}
			continue
		}
		a := before[i]
		for _, k := range appKeys {
			if k.path != "id" {
				r.setting(k, fmt.Sprintf("apps[%s].%s", a.ID, k.path), reflect.ValueOf(&a).Elem(), reflect.ValueOf(app))
			}
		}
		next = append(next, a)
	}
	for _, app := range before {
		if slices.ContainsFunc(loaded.AllApps(), func(a App) bool { return a.ID == app.ID }) {
			continue
		}
		r.note(fmt.Sprintf("apps[%s] (removed)", app.ID), true, !fixed)
		if fixed {
			next = append(next, app)
		}
	}
	return next
}
