package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// yaml reads a configuration file.
func (l *loader) yaml(name string, text []byte) {
	at := func(n *yaml.Node) string { return fmt.Sprintf("%s:%d", name, n.Line) }
	root, err := parseYAML(name, text)
	switch {
	case err != nil:
		l.errs = append(l.errs, err)
	case root != nil:
		r := reader{loader: l, at: at, known: configKeys}
		r.section(root, "", reflect.ValueOf(&l.cfg).Elem(), configKeys)
	}
}

// yamlLine is how the YAML package begins its errors.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parseYAML returns the document's root, or nil when there is nothing in it.
// No error quotes the document, since it holds secrets.
func parseYAML(name string, text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, next yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		if err = dec.Decode(&next); errors.Is(err, io.EOF) {
			return doc.Content[0], nil
		}
	}
	if err == nil {
		return nil, fmt.Errorf("%s:%d: a second document begins here; only one is read, so remove the line ---", name, next.Line)
	}
	message := err.Error()
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if m[1] != "" {
			name += ":" + m[1]
		}
	}
	if strings.Contains(message, "anchor") {
		message = "a value that begins with * must be quoted"
	}
	return nil, fmt.Errorf("%s: not valid YAML: %s", name, message)
}

// reader fills in structs from YAML.
type reader struct {
	*loader
	at    func(*yaml.Node) string // where a node is, for provenance and errors
	base  string                  // goes in front of paths, such as "apps[0]."
	known []key                   // every setting after base
}

// section reads a mapping into v, whose settings keys have v's own paths.
// A null leaves everything as it is.
func (r *reader) section(n *yaml.Node, path string, v reflect.Value, keys []key) {
	n = resolve(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		what := r.base + path
		if what == "" {
			what = "the file"
		}
		r.fail(r.at(n), "%s: expected keys and values, got %s", strings.TrimSuffix(what, "."), describe(n))
		return
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := r.base + path + name.Value
		if first := seen[name.Value]; first != nil {
			r.fail(r.at(name), "key %q stands here a second time; the first is at %s", full, r.at(first))
			continue
		}
		seen[name.Value] = name
		if k, ok := findKey(keys, path+name.Value); ok && name.Kind == yaml.ScalarNode {
			r.setting(k, name, value, v)
		} else if isSection(keys, path+name.Value) && name.Kind == yaml.ScalarNode {
			r.section(value, path+name.Value+".", v, keys)
		} else {
			r.fail(r.at(name), "unknown key %q%s", full, r.hint(path, name.Value))
		}
	}
}

// hint is for an unknown key: the nearest one, or those that there are.
func (r *reader) hint(section, name string) string {
	var known, here []string
	for _, k := range r.known {
		known = append(known, k.path)
		rest, ok := strings.CutPrefix(k.path, section)
		if !ok {
			continue
		}
		rest, _, nested := strings.Cut(rest, ".")
		if nested && !slices.Contains(known, section+rest) {
			known = append(known, section+rest)
		}
		if !slices.Contains(here, rest) {
			here = append(here, rest)
		}
	}
	if hint := didYouMean(r.base, section+name, known, "."); hint != "" {
		return hint
	}
	return "; the keys here are " + strings.Join(here, ", ")
}

// setting reads the value of one key into its field of v.
func (r *reader) setting(k key, name, n *yaml.Node, v reflect.Value) {
	n = resolve(n)
	if isNull(n) {
		return
	}
	path, field := r.base+k.path, k.in(v)
	var err error
	switch {
	case isList(field.Type()):
		if n.Kind != yaml.SequenceNode {
			err = fmt.Errorf("expected a list, got %s", describe(n))
			break
		}
		r.lists[path] = list{node: n, at: r.at}
	case field.Type() == reflect.TypeFor[[]string]():
		err = setStrings(field, n)
	case field.Type() == reflect.TypeFor[map[string]string]():
		err = r.setMap(field, path, n)
	default:
		err = setScalar(field, k.kind, n)
	}
	if err != nil {
		r.fail(r.at(n), "%s: %w", path, err)
		return
	}
	r.from[path] = r.at(name)
}

// scalarTypes names for each Go type what YAML must have, and the tags of it.
// Numbers and dates are strings too: an app's id is often a number.
var scalarTypes = map[reflect.Type]struct {
	want string
	tags []string
}{
	reflect.TypeFor[string]():        {"a string", []string{"!!str", "!!int", "!!float", "!!timestamp"}},
	reflect.TypeFor[bool]():          {"true or false", []string{"!!bool"}},
	reflect.TypeFor[int]():           {"an integer", []string{"!!int", "!!str"}},
	reflect.TypeFor[time.Duration](): {"a duration", []string{"!!int", "!!str"}},
}

func setScalar(field reflect.Value, kind string, n *yaml.Node) error {
	t := scalarTypes[field.Type()]
	tags := t.tags
	if field.Type() == reflect.TypeFor[int]() && kind != "size" {
		tags = tags[:1]
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		return fmt.Errorf("expected %s, got %s", t.want, describe(n))
	}
	return parse(field, kind, n.Value)
}

// setStrings reads a list of strings, or a single one.
func setStrings(field reflect.Value, n *yaml.Node) error {
	nodes := []*yaml.Node{n}
	switch n.Kind {
	case yaml.SequenceNode:
		nodes = n.Content
	case yaml.MappingNode:
		return fmt.Errorf("expected a list of strings, got %s", describe(n))
	}
	var items []string
	for _, item := range nodes {
		var s string
		if err := setScalar(reflect.ValueOf(&s).Elem(), "", resolve(item)); err != nil {
			return fmt.Errorf("expected a list of strings, got one with %s in it", describe(resolve(item)))
		}
		items = append(items, s)
	}
	field.Set(reflect.ValueOf(items))
	return nil
}

// setMap reads names with a string each. What is wrong with one of them it
// reports itself, where that stands.
func (r *reader) setMap(field reflect.Value, path string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("expected names and values, got %s", describe(n))
	}
	items := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], resolve(n.Content[i+1])
		var s string
		err := setScalar(reflect.ValueOf(&s).Elem(), "", value)
		if _, again := items[name.Value]; again {
			err = errors.New("the name stands here a second time")
		}
		if name.Kind != yaml.ScalarNode {
			err = fmt.Errorf("expected a name, got %s", describe(name))
		}
		if err != nil {
			r.fail(r.at(name), "%s[%q]: %w", path, name.Value, err)
		}
		items[name.Value] = s
	}
	field.Set(reflect.ValueOf(items))
	return nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe names a node's type, and never its value.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "a string"
	case "!!int":
		return "an integer"
	case "!!float":
		return "a decimal number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	return "a value with a tag"
}
