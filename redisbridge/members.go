package redisbridge

import (
	"bytes"
	"encoding/json"
)

// members walks over the top level of a JSON object, whose brace the text must
// begin with, and checks it meanwhile.
type members struct {
	text []byte
	// end is where the walk is: behind a comma or, when it is over, the closing
	// brace; -1 when the text turned out not to be valid.
	end int

	// The current member: its key with the quotes, its value, and the whole of
	// it with the white space around.
	key, value, whole []byte
}

// next moves to the next member, if there is one.
func (m *members) next() bool {
	start := max(m.end, 1)
	key := skipSpace(m.text, start)
	if m.end == 0 && is(m.text, key, '}') {
		m.end = key + 1
	}
	if m.end < 0 || is(m.text, m.end-1, '}') {
		return false
	}
	keyEnd := skipString(m.text, key)
	colon := skipSpace(m.text, keyEnd)
	value := skipSpace(m.text, colon+1)
	valueEnd := skipValue(m.text, value, 1)
	end := skipSpace(m.text, valueEnd)
	if !is(m.text, colon, ':') || !is(m.text, end, ',') && !is(m.text, end, '}') {
		m.end = -1
		return false
	}
	m.key, m.value, m.whole = m.text[key:keyEnd], m.text[value:valueEnd], m.text[start:end]
	m.end = end + 1
	return true
}

// valid tells, after the last member, whether the text was an object and
// nothing else.
func (m *members) valid() bool { return m.end >= 0 && skipSpace(m.text, m.end) == len(m.text) }

// keyIs tells whether the current member has that name.
func (m *members) keyIs(name string) bool {
	if bytes.IndexByte(m.key, '\\') < 0 {
		return string(m.key[1:len(m.key)-1]) == name
	}
	return unquote(m.key) == name
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
