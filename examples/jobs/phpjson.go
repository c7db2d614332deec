package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Object is a JSON object that keeps the order of its members, as PHP's
// arrays do.
type Object []Member

// Member is one key of an Object with its value.
type Member struct {
	Key   string
	Value any
}

// with is the object with one more member; o itself stays as it is.
func (o Object) with(key string, value any) Object {
	return append(slices.Clip(o), Member{key, value})
}

// MarshalJSON writes the members in their order. An empty object is [], since
// PHP can't tell it from an empty list.
func (o Object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte(`[]`), nil
	}
	var b bytes.Buffer
	for i, member := range o {
		b.WriteByte("{,"[min(i, 1)])
		key, err := plainJSON(member.Key)
		if err != nil {
			return nil, err
		}
		value, err := plainJSON(member.Value)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", member.Key, err)
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// PHPJSON encodes v byte for byte as PHP's json_encode does without flags:
// slashes and everything outside ASCII are escaped.
func PHPJSON(v any) ([]byte, error) {
	plain, err := plainJSON(v)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(plain)+len(plain)/4)
	for len(plain) > 0 {
		r, size := utf8.DecodeRune(plain)
		switch {
		case r == '/':
			out = append(out, '\\', '/')
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		plain = plain[size:]
	}
	return out, nil
}

// plainJSON is json.Marshal without its escapes for HTML, which PHP lacks.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
