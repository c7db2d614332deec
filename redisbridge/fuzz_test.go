package redisbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzDecode(f *testing.F) {
	for _, p := range readFixture[published](f, "redis-publish.json") {
		f.Add([]byte(p.Payload))
	}
	for _, seed := range []string{
		`{"event":"e","data":{"a":1,"s\u006fcket" : "1.2" ,"b":{"socket":1}},"socket":"1.2"}`,
		`{"event":"e","data":"{\"a\":1}","data":[{},"\\",{"socket":null}]}`,
		" {\"event\" : \"\\ud83d\", \"data\" : { \"socket\":null } , \"socket\":null}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := Decode(payload)
		if err != nil {
			if reason := (*Reason)(nil); !errors.As(err, &reason) || !slices.Contains(reasons(), reason) {
				t.Fatalf("error is no reason: %v", err)
			}
			return
		}
		m.Event.Channel = "c"
		if err := m.Event.Check(); err != nil {
			t.Fatalf("not fit for publishing: %v", err)
		}
		frame := m.Event.Frame()
		var sent struct {
			Event string
			Data  string
		}
		if err := json.Unmarshal(frame.Payload(), &sent); err != nil || !utf8.Valid(frame.Payload()) {
			t.Fatalf("message is not fit for clients: %v\n%q", err, frame.Payload())
		}
		checkData(t, payload, sent.Data)
	})
}

// checkData compares the data that was sent with what encoding/json makes of
// the payload.
func checkData(t *testing.T, payload []byte, got string) {
	t.Helper()
	var root map[string]json.RawMessage
	if err := json.Unmarshal(payload, &root); err != nil {
		t.Fatalf("taken for an event, but not by encoding/json: %v", err)
	}
	data, socket := bytes.TrimSpace(root["data"]), bytes.TrimSpace(root["socket"])
	var object map[string]json.RawMessage
	switch {
	case len(data) == 0:
		data = []byte("null")
	case data[0] == '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			t.Fatal(err)
		}
		data = []byte(text)
	case data[0] == '{':
		if err := json.Unmarshal(data, &object); err != nil {
			t.Fatal(err)
		}
	}
	copied, ok := object["socket"]
	if !ok || socket == nil || !sameValue(bytes.TrimSpace(copied), socket) {
		if got != string(data) {
			t.Fatalf("data %q became %q", data, got)
		}
		return
	}
	delete(object, "socket")
	if len(object) == 0 {
		if got != "[]" {
			t.Fatalf("data %q became %q, want []", data, got)
		}
		return
	}
	var left map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got), &left); err != nil || !reflect.DeepEqual(left, object) {
		t.Fatalf("data %q became %q, %v", data, got, err)
	}
}

func FuzzValid(f *testing.F) {
	for _, p := range readFixture[published](f, "redis-publish.json") {
		f.Add([]byte(p.Payload))
	}
	for _, seed := range []string{
		"", " ", "nul", "truex", "-", "-0.1e+10", "01", "1.", ".1", "1e", "2E-07 ", `"`, `"\`, `"\u12`, `"\uABcf\/\b\"" `, "\"\x1f\"",
		"{", "{}", "{} ", "{}}", `{"a":1`, `{"a":1]`, `{"a":1},`, `{"a" 1}`, `{"a",1}`, "[", "]", "[1,]", "[,1]", " [ 1 , [ ] , { } ] ", "[1}", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{ "a" : 1 , "a" : { } }`, `{1:1}`, "[]]",
		strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := json.Valid(text)
		if got := valid(text); got != want {
			t.Errorf("valid: %t, json.Valid: %t\n%.300q", got, want, text)
		}
		if len(text) == 0 || text[0] != '{' {
			return
		}
		object := members{text: text}
		for object.next() {
		}
		if got := object.valid(); got != want {
			t.Errorf("the members are valid: %t, json.Valid: %t\n%.300q", got, want, text)
		}
	})
}
