package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// parseEnvFile reads a Laravel project's .env by the rules of the library that
// Laravel uses (vlucas/phpdotenv 5): later lines win, process wins over the
// file inside ${NAME}, and a ${NAME} of neither stays as it is. It differs on
// quotes that are not closed, of which the library drops what follows without
// a word, and which are errors here; and =" inside a comment or an unquoted
// value begins nothing. The error is for the line returned with it and quotes
// nothing but names.
func parseEnvFile(text string, process map[string]string) (vars map[string]string, line int, err error) {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	p := envParser{text: text, vars: map[string]string{}, process: process}
	for p.pos < len(p.text) {
		begin := p.pos
		if err := p.entry(); err != nil {
			return nil, 1 + strings.Count(p.text[:begin], "\n"), err
		}
	}
	return p.vars, 0, nil
}

type envParser struct {
	text    string
	pos     int
	vars    map[string]string
	process map[string]string
}

// entryName is what comes before the "=", quoted or after "export" as in shells.
var entryName = regexp.MustCompile(`^(?:export\s+)?(?:([\p{Ll}\p{Lu}\p{M}\p{N}_.]+)|"([\p{Ll}\p{Lu}\p{M}\p{N}_.]+)"|'([\p{Ll}\p{Lu}\p{M}\p{N}_.]+)')$`)

// entry reads one line, or several when a quoted value goes over them. A name
// alone takes back what an earlier line gave it.
func (p *envParser) entry() error {
	line, _, _ := strings.Cut(p.text[p.pos:], "\n")
	name, _, assigned := strings.Cut(line, "=")
	if trimmed := strings.Trim(line, envSpace); trimmed == "" || trimmed[0] == '#' {
		p.pos += len(line) + 1
		return nil
	}
	m := entryName.FindStringSubmatch(strings.Trim(name, envSpace))
	if m == nil {
		return errors.New("expected NAME=value; the name has characters other than letters, digits, dots and _")
	}
	variable := m[1] + m[2] + m[3]
	if !assigned {
		delete(p.vars, variable)
		p.pos += len(line) + 1
		return nil
	}
	p.pos += len(name) + 1
	value, err := p.value()
	if err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	p.vars[variable] = value
	return nil
}

// envSpace is what PHP's trim takes away, without the end of a line.
const envSpace = " \t\v\r\x00"

// value reads what follows the "=", up to and with the end of the line.
func (p *envParser) value() (string, error) {
	for p.pos < len(p.text) && strings.IndexByte(envSpace, p.text[p.pos]) >= 0 {
		p.pos++
	}
	var b strings.Builder
	var err error
	switch p.peek() {
	case '"':
		err = p.doubleQuoted(&b)
	case '\'':
		err = p.singleQuoted(&b)
	default:
		p.unquoted(&b)
	}
	if err != nil {
		return "", err
	}
	rest, _, _ := strings.Cut(p.text[p.pos:], "\n")
	if rest := strings.TrimLeft(rest, envSpace+"\f"); rest != "" && rest[0] != '#' {
		return "", errors.New("text after the value; a value with spaces must be in double quotes")
	}
	p.pos += len(rest) + 1
	return b.String(), nil
}

// peek is the byte to read next, or a line's end.
func (p *envParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return '\n'
}

func (p *envParser) unquoted(b *strings.Builder) {
	for !strings.ContainsRune("# \t\v\f\n", rune(p.peek())) {
		p.character(b)
	}
}

func (p *envParser) singleQuoted(b *strings.Builder) error {
	rest := p.text[p.pos+1:]
	end := strings.IndexAny(rest, "'\n")
	if end < 0 || rest[end] == '\n' {
		return errors.New("a single quote is not closed in its line")
	}
	b.WriteString(rest[:end])
	p.pos += end + 2
	return nil
}

func (p *envParser) doubleQuoted(b *strings.Builder) error {
	for p.pos++; p.pos < len(p.text); {
		switch p.text[p.pos] {
		case '"':
			p.pos++
			return nil
		case '\\':
			p.pos++
			escaped, ok := escapes[p.peek()]
			if !ok {
				return errors.New(`a backslash in double quotes stands before a character other than " \ $ f n r t v; write \\`)
			}
			b.WriteByte(escaped)
			p.pos++
		default:
			p.character(b)
		}
	}
	return errors.New("a double quote is not closed")
}

// escapes are the characters that a backslash may precede in double quotes.
var escapes = map[byte]byte{
	'"': '"', '\\': '\\', '$': '$', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}

var reference = regexp.MustCompile(`^\$\{([a-zA-Z0-9_.]+)\}`)

// character reads a byte as it is, or a ${NAME} with its value.
func (p *envParser) character(b *strings.Builder) {
	if p.text[p.pos] == '$' {
		if m := reference.FindStringSubmatch(p.text[p.pos:]); m != nil {
			b.WriteString(p.lookup(m[1], m[0]))
			p.pos += len(m[0])
			return
		}
	}
	b.WriteByte(p.text[p.pos])
	p.pos++
}

func (p *envParser) lookup(name, otherwise string) string {
	if v, ok := p.process[name]; ok {
		return v
	}
	if v, ok := p.vars[name]; ok {
		return v
	}
	return otherwise
}
