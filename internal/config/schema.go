package config

import (
	"reflect"
	"slices"
	"strings"
)

// key is one setting: a field of Config, or of App for the entries of apps,
// that is not a section.
type key struct {
	path   string // "redis.url"
	kind   string // the kind tag
	reload string // the reload tag
	index  []int  // where reflect finds the field
}

var (
	configKeys  = keysOf(reflect.TypeFor[Config](), "", nil)
	appKeys     = keysOf(reflect.TypeFor[App](), "", nil)
	sourceKeys  = keysOf(reflect.TypeFor[RedisSource](), "", nil)
	webhookKeys = keysOf(reflect.TypeFor[Webhook](), "", nil)
)

// keysOf lists the settings of a struct in its order.
func keysOf(t reflect.Type, prefix string, index []int) []key {
	var keys []key
	for i := range t.NumField() {
		f := t.Field(i)
		path := prefix + f.Tag.Get("yaml")
		at := append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(f.Type, path+".", at)...)
			continue
		}
		keys = append(keys, key{path: path, kind: f.Tag.Get("kind"), reload: f.Tag.Get("reload"), index: at})
	}
	return keys
}

// in is the field that the key names in v, a struct of its type.
func (k key) in(v reflect.Value) reflect.Value { return v.FieldByIndex(k.index) }

// findKey looks a setting up by its path.
func findKey(keys []key, path string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.path == path })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// isSection reports whether settings lie under path.
func isSection(keys []key, path string) bool {
	return slices.ContainsFunc(keys, func(k key) bool { return strings.HasPrefix(k.path, path+".") })
}

// envName is a setting's environment variable, such as BROADCASTD_REDIS_URL.
func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

const envPrefix = "BROADCASTD_"
