package redisbridge

import (
	"bytes"
	"encoding/json"
)

const jsonSpace = " \t\r\n"

// members walks over the top level of a JSON object. The text must begin with
// the object's brace and be valid: nothing is checked again. Nesting costs no
// stack.
type members struct {
	text []byte
	end  int // of the part that was walked over, the comma included

	// The current member: its key with the quotes, its value, and the whole of
	// it with the white space around.
	key, value, whole []byte
}

// next moves to the next member, if there is one.
func (m *members) next() bool {
	if m.end == 0 {
		m.end = 1
	}
	start := m.end
	at := m.space(start)
	if at == len(m.text) || m.text[at] != '"' { // the end, or the only brace
		return false
	}
	end := m.skip(at)
	m.key = m.text[at:end]

	at = m.space(m.space(end) + 1) // the colon
	end = m.skip(at)
	m.value = m.text[at:end]

	end = m.space(end)
	m.whole = m.text[start:end]
	m.end = end + 1
	return true
}

// keyIs tells whether the current member has that name.
func (m *members) keyIs(name string) bool {
	if bytes.IndexByte(m.key, '\\') < 0 {
		return string(m.key[1:len(m.key)-1]) == name
	}
	return unquote(m.key) == name
}

func (m *members) space(at int) int {
	for at < len(m.text) {
		switch m.text[at] {
		case ' ', '\t', '\r', '\n':
			at++
		default:
			return at
		}
	}
	return at
}

// skip gives the end of the value that begins at at.
func (m *members) skip(at int) int {
	depth := 0
	for {
		switch m.text[at] {
		case '"':
			at = m.skipString(at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\t', '\r', '\n': // only inside of objects and arrays
			at++
			continue
		default:
			at = m.skipLiteral(at)
		}
		if depth == 0 {
			return at
		}
	}
}

func (m *members) skipString(at int) int {
	for at++; ; at++ {
		switch m.text[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
}

// skipLiteral passes a number, true, false or null.
func (m *members) skipLiteral(at int) int {
	for at++; ; at++ {
		switch m.text[at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return at
		}
	}
}

// unquote decodes a valid JSON string.
func unquote(literal []byte) string {
	inside := literal[1 : len(literal)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside)
	}
	var s string
	_ = json.Unmarshal(literal, &s) // can't fail: the string is valid
	return s
}
