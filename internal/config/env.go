package config

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// variable is one of the environment, Laravel's words for values understood.
type variable struct {
	text   string
	null   bool   // "null", which leaves a setting as it is
	origin string // "env NAME" or "env-file .env: NAME"
}

// variables puts the process's environment over the env-file's, as Laravel
// does.
func (l *loader) variables(o Options) map[string]variable {
	process := map[string]string{}
	for _, pair := range o.Env {
		if name, value, ok := strings.Cut(pair, "="); ok {
			process[name] = value
		}
	}
	vars := map[string]variable{}
	for name, value := range l.envFile(o.EnvFile, process) {
		vars[name] = newVariable(value, fmt.Sprintf("env-file %s: %s", o.EnvFile, name))
	}
	for name, value := range process {
		vars[name] = newVariable(value, "env "+name)
	}
	return vars
}

func (l *loader) envFile(name string, process map[string]string) map[string]string {
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("cannot read the env-file: %w", err))
		return nil
	}
	vars, line, err := parseEnvFile(string(text), process)
	if err != nil {
		l.fail(fmt.Sprintf("%s:%d", name, line), "%w", err)
	}
	return vars
}

// newVariable understands what Laravel's env() does: the words null, empty,
// true and false, alone or in brackets, and a pair of quotes around the value.
func newVariable(text, origin string) variable {
	v := variable{text: text, origin: origin}
	switch word := strings.ToLower(text); word {
	case "null", "(null)":
		return variable{null: true, origin: origin}
	case "empty", "(empty)":
		v.text = ""
	case "true", "(true)", "false", "(false)":
		v.text = strings.Trim(word, "()")
	default:
		if n := len(text); n > 1 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
			v.text = text[1 : n-1]
		}
	}
	return v
}

// serviceLink matches what Kubernetes gives every pod beside a Service called
// broadcastd.
var serviceLink = regexp.MustCompile(`^BROADCASTD_(SERVICE_(HOST|PORT)|PORT_\d+_)`)

// environment applies the variables of our own. Unknown ones are mistakes.
func (l *loader) environment(vars map[string]variable) {
	byName, names := map[string]key{}, []string{}
	for _, k := range configKeys {
		byName[envName(k.path)] = k
		names = append(names, strings.TrimPrefix(envName(k.path), envPrefix))
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		v := vars[name]
		k, known := byName[name]
		switch {
		case known && !v.null:
			l.set(k, v.text, v.origin)
		case known || !strings.HasPrefix(name, envPrefix):
		case serviceLink.MatchString(name):
			l.fail(v.origin, "unknown variable; Kubernetes sets it for a Service called broadcastd, so set enableServiceLinks: false in the pod")
		default:
			l.fail(v.origin, "unknown variable%s", didYouMean(envPrefix, name[len(envPrefix):], names, "_"))
		}
	}
}
