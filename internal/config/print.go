package config

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// mask stands for a secret.
const mask = "******"

// Print writes the configuration, a setting a line: its path, its value with
// secrets masked, and where that came from.
func (l Loaded) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := printer{w: t, from: l.From}
	p.section("", configKeys, reflect.ValueOf(l.Config))
	return t.Flush()
}

type printer struct {
	w    io.Writer
	from map[string]string
}

func (p printer) section(base string, keys []key, v reflect.Value) {
	for _, k := range keys {
		field, path := k.in(v), base+k.path
		if !isList(field.Type()) || field.Len() == 0 {
			fmt.Fprintf(p.w, "%s\t%s\t%s\n", path, display(k, field), p.from[path])
			continue
		}
		entryKeys := keysOf(field.Type().Elem(), "", nil)
		for i := range field.Len() {
			p.section(fmt.Sprintf("%s[%d].", path, i), entryKeys, field.Index(i))
		}
	}
}

// display is a value in the form in which it can be configured.
func display(k key, field reflect.Value) string {
	switch v := field.Interface().(type) {
	case string:
		return displayString(k.kind, v)
	case time.Duration:
		return displayDuration(v)
	case int:
		if k.kind == "size" {
			return displaySize(v)
		}
	case []string:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = displayString("", item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]string:
		items := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, displayString("", name)+": "+mask)
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return fmt.Sprint(field.Interface())
}

func displayString(kind, s string) string {
	switch {
	case kind == "secret" && s != "":
		return mask
	case kind == "url":
		s = maskURL(s)
	case kind == "hook":
		s = maskHook(s)
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == ',' || r == '"' || !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// maskURL hides a URL's passwords, and the whole URL when they can't be found.
func maskURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return ""
	case err != nil || u.Opaque != "" || u.Scheme == "":
		return mask
	}
	masked := u.RawQuery
	if u.Query().Has("password") { // Redis's, beside its Sentinels'
		masked = maskPassword(masked)
	}
	_, password := u.User.Password()
	if !password && masked == u.RawQuery {
		return s
	}
	u.RawQuery = masked
	return strings.Replace(u.Redacted(), ":xxxxx@", ":"+mask+"@", 1)
}

// maskPassword hides the password in a query.
func maskPassword(query string) string {
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil && plain == "password" {
			parts[i] = name + "=" + mask
		}
	}
	return strings.Join(parts, "&")
}

// maskHook hides who a URL signs in as and its query: either can be a token.
func maskHook(s string) string {
	u, err := url.Parse(s)
	if s == "" || err != nil || u.Opaque != "" || u.Scheme == "" {
		return maskURL(s)
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	text := shown.String()
	if u.User != nil {
		text = strings.Replace(text, "://", "://"+mask+"@", 1)
	}
	if u.RawQuery != "" {
		text += "?" + mask
	}
	return text
}

func displayDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func displaySize(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n)
}
