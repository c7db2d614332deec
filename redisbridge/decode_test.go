package redisbridge

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"broadcastd/protocol"
)

// What Laravel's redis driver publishes must reach clients as what its reverb
// driver sends.
func TestDecodeEqualsReverbDriver(t *testing.T) {
	different := map[string]string{
		"Raw-list":             "the redis driver's copy of socket makes an object of a list",
		"SecretNote-encrypted": "the redis driver doesn't encrypt",
	}
	type sent struct {
		Name     string `json:"name"`
		Data     string `json:"data"`
		SocketID string `json:"socket_id"`
	}
	reverb := map[string]sent{}
	for _, request := range readFixture[apiRequest](t, "http-api.json") {
		if request.Driver != "reverb" || request.Body == "" {
			continue
		}
		var body sent
		if err := json.Unmarshal([]byte(request.Body), &body); err != nil {
			t.Fatalf("%s: %v", request.Event, err)
		}
		reverb[request.Event] = body
	}

	compared := map[string]bool{}
	for _, p := range readFixture[published](t, "redis-publish.json") {
		want, ok := reverb[p.Event]
		if !ok || p.Payload == "" {
			continue
		}
		m, err := Decode([]byte(p.Payload))
		if err != nil {
			t.Errorf("%s: %v", p.Event, err)
			continue
		}
		compared[p.Event] = true
		if m.Event.Name != want.Name {
			t.Errorf("%s: name is %q, the reverb driver sends %q", p.Event, m.Event.Name, want.Name)
		}
		var data string
		if err := json.Unmarshal(m.Event.Data, &data); err != nil {
			t.Errorf("%s: data is not a JSON string: %v", p.Event, err)
		}
		if strings.HasPrefix(p.Event, "Notification") { // with a new random id each time
			data, want.Data = withoutID(t, data), withoutID(t, want.Data)
		}
		if why, ok := different[p.Event]; ok == (data == want.Data) {
			t.Errorf("%s: data is\n%s\nthe reverb driver sends\n%s\nexpected difference: %q", p.Event, data, want.Data, why)
		}
		if p.SocketID != nil && *p.SocketID != "" && *p.SocketID != "undefined" {
			if except := m.Event.Except; want.SocketID != "" && except.String() != want.SocketID || want.SocketID == "" && except != 0 {
				t.Errorf("%s: excludes %v, the reverb driver %q", p.Event, except, want.SocketID)
			}
		}
	}
	if len(compared) < 25 {
		t.Errorf("only %d events are in both recordings", len(compared))
	}
}

func withoutID(t *testing.T, data string) string {
	t.Helper()
	var notification struct{ ID string }
	if err := json.Unmarshal([]byte(data), &notification); err != nil || notification.ID == "" {
		t.Fatalf("notification %s has no id, %v", data, err)
	}
	return strings.ReplaceAll(data, notification.ID, "ID")
}

func TestDecodeData(t *testing.T) {
	tests := map[string]struct {
		payload string
		want    string // the JSON text, or with quotes a string that was one already
		size    int    // of want unless set
	}{
		"object":                        {payload: `{"event":"e","data":{"a":1}}`, want: `{"a":1}`},
		"array":                         {payload: `{"event":"e","data":[1,[2]],"socket":null}`, want: `[1,[2]]`},
		"empty array":                   {payload: `{"event":"e","data":[],"socket":null}`, want: `[]`},
		"empty object":                  {payload: `{"event":"e","data":{},"socket":null}`, want: `{}`},
		"number":                        {payload: `{"event":"e","data":12345678901234567890.50}`, want: `12345678901234567890.50`},
		"bool":                          {payload: `{"event":"e","data":true}`, want: `true`},
		"null":                          {payload: `{"event":"e","data":null}`, want: `null`},
		"none":                          {payload: `{"event":"e"}`, want: `null`},
		"string":                        {payload: `{"event":"e","data":"{\"a\":\"\u00e9\"}","socket":null}`, want: `"{\"a\":\"\u00e9\"}"`},
		"empty string":                  {payload: `{"event":"e","data":""}`, want: `""`},
		"bytes survive":                 {payload: `{"event":"e","data":{ "a" : "\u00e9é\/\u2028` + "\u2028" + `",` + "\n\t" + `"b":1.0e+25 } }`, want: "{ \"a\" : \"\\u00e9é\\/\\u2028\u2028\",\n\t\"b\":1.0e+25 }"},
		"lone surrogate":                {payload: `{"event":"e","data":{"a":"\ud83d"}}`, want: `{"a":"\ud83d"}`},
		"socket last":                   {payload: `{"event":"e","data":{"a":1,"socket":null},"socket":null}`, want: `{"a":1}`},
		"socket only":                   {payload: `{"event":"e","data":{"socket":null},"socket":null}`, want: `[]`},
		"socket first":                  {payload: `{"event":"e","data":{"socket":"1.2","a":1},"socket":"1.2"}`, want: `{"a":1}`},
		"socket in the middle":          {payload: `{"event":"e","data":{"a":1,"socket":"1.2","b":2},"socket":"1.2"}`, want: `{"a":1,"b":2}`},
		"socket between spaces":         {payload: `{"event":"e","data":{ "a":1 , "socket" : null , "b":2 },"socket":null}`, want: `{ "a":1 , "b":2 }`},
		"socket only, spaces":           {payload: `{"event":"e","data":{ "socket" : null },"socket": null }`, want: `[]`},
		"socket undefined":              {payload: `{"event":"e","data":{"a":1,"socket":"undefined"},"socket":"undefined"}`, want: `{"a":1}`},
		"socket with escapes":           {payload: `{"event":"e","data":{"a":1,"s\u006fcket":"1\u002e2"},"socket":"1.2"}`, want: `{"a":1}`},
		"socket an object":              {payload: `{"event":"e","data":{"a":1,"socket":{"x":[1]}},"socket":{"x":[1]}}`, want: `{"a":1}`},
		"socket differs":                {payload: `{"event":"e","data":{"a":1,"socket":"1.2"},"socket":null}`, want: `{"a":1,"socket":"1.2"}`},
		"socket not in the root":        {payload: `{"event":"e","data":{"a":1,"socket":null}}`, want: `{"a":1,"socket":null}`},
		"socket nested":                 {payload: `{"event":"e","data":{"a":{"socket":null}},"socket":null}`, want: `{"a":{"socket":null}}`},
		"socket nested in a list":       {payload: `{"event":"e","data":[{"socket":null}],"socket":null}`, want: `[{"socket":null}]`},
		"socket in a string":            {payload: `{"event":"e","data":{"a":"\",\"socket\":null"},"socket":null}`, want: `{"a":"\",\"socket\":null"}`},
		"socket twice, the last counts": {payload: `{"event":"e","data":{"socket":1,"a":1,"socket":null},"socket":null}`, want: `{"a":1}`},
		"socket twice, the last differs": {
			payload: `{"event":"e","data":{"socket":null,"a":1,"socket":1},"socket":null}`,
			want:    `{"socket":null,"a":1,"socket":1}`,
		},
		"other keys":          {payload: `{"Socket":1,"event":"e","Data":1,"data":{"socket":1,"Socket":1,"sockets":1},"socket":1}`, want: `{"Socket":1,"sockets":1}`},
		"keys with escapes":   {payload: `{"\u0065vent":"e","d\u0061ta":{"a":1,"socket":null},"socke\u0074":null}`, want: `{"a":1}`},
		"key twice":           {payload: `{"event":1,"data":1,"event":"e","data":2}`, want: `2`},
		"spaces around":       {payload: " \r\n\t{ \"event\" : \"e\" ,\n\"data\" : [ 1 ] } \n", want: `[ 1 ]`},
		"brackets in strings": {payload: `{"event":"e","data":{"a":"}]\\\"","b":["{[",{}]},"x":"\\"}`, want: `{"a":"}]\\\"","b":["{[",{}]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := Decode([]byte(test.payload))
			if err != nil {
				t.Fatal(err)
			}
			if m.Event.Name != "e" {
				t.Errorf("name is %q, want e", m.Event.Name)
			}
			want := test.want
			if want[0] != '"' {
				want = string(protocol.QuoteData([]byte(want)))
			}
			if got := string(m.Event.Data); got != want {
				t.Errorf("data is\n%s\nwant\n%s", got, want)
			}
			if m.Size != len(test.want) {
				t.Errorf("size is %d, want %d", m.Size, len(test.want))
			}
		})
	}
}

func TestDecodeSocket(t *testing.T) {
	id, _ := protocol.ParseSocketID("123456.789012")
	tests := map[string]struct {
		want protocol.SocketID
		bad  bool
	}{
		`"123456.789012"`:         {want: id},
		`"123456\u002e789012"`:    {want: id},
		`null`:                    {},
		`""`:                      {},
		`"99999999999.1"`:         {}, // well-formed, but nobody's
		`"undefined"`:             {bad: true},
		`"123456"`:                {bad: true},
		`"1.2.3"`:                 {bad: true},
		`" 1.2"`:                  {bad: true},
		`123456.789012`:           {bad: true},
		`false`:                   {bad: true},
		`["1.2"]`:                 {bad: true},
		`{"id":"1.2"}`:            {bad: true},
		`"1.2","socket":null`:     {},
		`null,"socket":"x"`:       {bad: true},
		`"x","s\u006fcket":"1.1"`: {want: 1<<32 | 1},
	}
	for socket, test := range tests {
		m, err := Decode([]byte(`{"event":"e","data":[],"socket":` + socket + `}`))
		if err != nil {
			t.Errorf("%s: %v", socket, err)
			continue
		}
		if m.Event.Except != test.want || m.BadSocket != test.bad {
			t.Errorf("%s: excludes %v, bad %v; want %v, %v", socket, m.Event.Except, m.BadSocket, test.want, test.bad)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]*Reason{
		"":                                      ReasonNotJSON,
		"\x00\x00\x00\x02\x14\x03\x11\x05event": ReasonNotJSON, // igbinary
		`s:13:"{"event":"e"}";`:                 ReasonNotJSON, // PHP's serialize
		`{"event":"e"`:                          ReasonNotJSON,
		`{"event":"e"}{}`:                       ReasonNotJSON,
		"\xef\xbb\xbf{\"event\":\"e\"}":         ReasonNotJSON, // byte order mark
		"hello":                                 ReasonNotJSON,
		"{\"event\":\"e\",\"data\":\"\xff\"}":   ReasonInvalidUTF8,
		"{\"event\":\"\xed\xa0\x80\"}":          ReasonInvalidUTF8,
		"1":                                     ReasonNotAnEvent,
		"null":                                  ReasonNotAnEvent,
		`"event"`:                               ReasonNotAnEvent,
		`[{"event":"e"}]`:                       ReasonNotAnEvent,
		"{}":                                    ReasonNotAnEvent,
		" { } ":                                 ReasonNotAnEvent,
		`{"type":"message","payload":{"event":"e"}}`:        ReasonNotAnEvent,
		`{"event":null,"data":[]}`:                          ReasonNotAnEvent,
		`{"event":["e"]}`:                                   ReasonNotAnEvent,
		`{"event":"e","event":1}`:                           ReasonNotAnEvent,
		`{"Event":"e"}`:                                     ReasonNotAnEvent,
		`{"event":""}`:                                      ReasonEventName,
		`{"event":"` + strings.Repeat("e", 201) + `"}`:      ReasonEventName,
		`{"event":"` + strings.Repeat(`é`, 101) + `"}`:      ReasonEventName,
		strings.Repeat("[", 1<<20):                          ReasonNotJSON,
		strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5): ReasonNotJSON, // deeper than any reader allows
	}
	for payload, want := range tests {
		if _, err := Decode([]byte(payload)); !errors.Is(err, want) {
			t.Errorf("%.60q: got %v, want %s", payload, err, want.Label)
		}
	}
}

func TestDecodeAcceptsTheLongestName(t *testing.T) {
	for _, name := range []string{strings.Repeat("e", 200), strings.Repeat(`\u00e9`, 100)} {
		if _, err := Decode([]byte(`{"event":"` + name + `"}`)); err != nil {
			t.Errorf("%.20s...: %v", name, err)
		}
	}
}

func TestDecodeLargePayloads(t *testing.T) {
	tests := map[string]string{
		"a megabyte": `{"text":"` + strings.Repeat(`a\u00e9\"`, 1<<17) + `"}`,
		"deep":       strings.Repeat(`{"a":[`, 2000) + strings.Repeat(`]}`, 2000),
		"wide":       "[" + strings.Repeat(`{"socket":null},`, 50000) + "1]",
	}
	for name, data := range tests {
		m, err := Decode([]byte(`{"event":"e","data":` + data + `,"socket":null}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(m.Event.Data) != string(protocol.QuoteData([]byte(data))) {
			t.Errorf("%s: data was changed", name)
		}
	}
}

func TestDecodeLeavesThePayloadAlone(t *testing.T) {
	const payload = `{"event":"e","data":{"socket":"1.2","a":1},"socket":"1.2"}`
	b := []byte(payload)
	if _, err := Decode(b); err != nil || string(b) != payload {
		t.Errorf("payload became %s, err %v", b, err)
	}
}

// The name, the data without socket, and the data as a string: what Decode
// allocates must not depend on how much is in the data.
func TestDecodeAllocates(t *testing.T) {
	data := strings.Repeat(`"key":{"id":42,"list":["a",null]},`, 200)
	payload := []byte(`{"event":"job.claimed","data":{` + data + `"socket":"1.2"},"socket":"1.2"}`)
	if n := testing.AllocsPerRun(100, func() { _, _ = Decode(payload) }); n > 10 {
		t.Errorf("%v allocations, want at most 10", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	payloads := map[string]string{
		"job_posted":  `job.posted`,
		"class_name":  `App\\Events\\MilestoneReached`,
		"big_payload": "",
	}
	for _, p := range readFixture[published](b, "redis-publish.json") {
		for name, event := range payloads {
			if strings.HasPrefix(p.Payload, `{"event":"`+event+`"`) {
				payloads[name] = p.Payload
			}
		}
	}
	payloads["big_payload"] = `{"event":"e","data":{"text":"` + strings.Repeat("lorem ipsum ", 8000) + `","socket":null},"socket":null}`
	for name, payload := range payloads {
		b.Run(name, func(b *testing.B) {
			text := []byte(payload)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
