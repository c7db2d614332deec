package config

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// list is the value of apps, redis.sources or webhooks before it is read.
type list struct {
	node *yaml.Node
	at   func(*yaml.Node) string
}

// isList tells the settings that hold entries with keys of their own.
func isList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// setList takes a list as YAML, of which JSON is a part, from a variable or a
// flag.
func (l *loader) setList(k key, text, origin string) {
	root, err := parseYAML(origin, []byte(text))
	switch {
	case err != nil:
		l.errs = append(l.errs, err)
		return
	case root == nil:
		root = &yaml.Node{Kind: yaml.SequenceNode}
	case root.Kind != yaml.SequenceNode:
		l.fail(origin, "%s: expected a list in YAML or JSON, got %s", k.path, describe(root))
		return
	}
	l.lists[k.path] = list{node: root, at: func(*yaml.Node) string { return origin }}
	l.from[k.path] = origin
}

// readLists reads the lists as the last source has them.
func (l *loader) readLists() {
	l.cfg.App.Webhooks = l.readWebhooks("app")
	base := l.cfg.App
	base.ID, base.Key, base.Secret = "", "", ""
	l.cfg.Apps = readList(l, "apps", appKeys, func() App {
		a := base
		a.AllowedOrigins = slices.Clone(a.AllowedOrigins)
		return a
	})
	for i := range l.cfg.Apps {
		l.appWebhooks(i)
	}
	l.cfg.Redis.Sources = readList(l, "redis.sources", sourceKeys, func() RedisSource { return RedisSource{} })
}

func (l *loader) readWebhooks(app string) []Webhook {
	return readList(l, app+".webhooks", webhookKeys, func() Webhook { return Webhook{} })
}

// appWebhooks reads the webhooks of an entry of apps, or notes that it has
// those of app.
func (l *loader) appWebhooks(i int) {
	app := fmt.Sprintf("apps[%d]", i)
	if _, given := l.lists[app+".webhooks"]; given {
		l.cfg.Apps[i].Webhooks = l.readWebhooks(app)
		return
	}
	for n := range l.cfg.Apps[i].Webhooks {
		for _, k := range webhookKeys {
			path := fmt.Sprintf("webhooks[%d].%s", n, k.path)
			l.from[app+"."+path] = "app." + path
		}
	}
}

// readList reads the entries of a list over what start returns.
func readList[T any](l *loader, path string, keys []key, start func() T) []T {
	given, ok := l.lists[path]
	if !ok {
		return nil
	}
	var entries []T
	for i, n := range given.node.Content {
		base := fmt.Sprintf("%s[%d]", path, i)
		r := reader{loader: l, at: given.at, base: base + ".", known: keys}
		entry := start()
		for _, k := range keys {
			l.from[r.base+k.path] = inherited(path, k.path, given.at(n))
		}
		if n = resolve(n); isNull(n) {
			l.fail(given.at(n), "%s: the entry is empty", base)
		}
		r.section(n, "", reflect.ValueOf(&entry).Elem(), keys)
		entries = append(entries, entry)
	}
	return entries
}

// inherited tells where an entry's setting comes from when the entry leaves it
// out; what it cannot take from app is missing where the entry begins.
func inherited(list, path, entry string) string {
	if list != "apps" || path == "id" || path == "key" || path == "secret" {
		return entry
	}
	return "app." + path
}
