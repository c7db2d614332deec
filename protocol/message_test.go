package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestServerMessages(t *testing.T) {
	id, _ := ParseSocketID("123.456")
	for name, c := range map[string]struct {
		frame Frame
		want  string
	}{
		"established": {
			Established(id, 120),
			`{"event":"pusher:connection_established","data":"{\"socket_id\":\"123.456\",\"activity_timeout\":120}"}`,
		},
		"error": {
			Error(CodeClientEvent, `no "quotes"`),
			`{"event":"pusher:error","data":{"code":4301,"message":"no \"quotes\""}}`,
		},
		"ping": {Ping(), `{"event":"pusher:ping","data":{}}`},
		"pong": {Pong(), `{"event":"pusher:pong","data":{}}`},
		"subscribed": {
			SubscriptionSucceeded("my-channel", nil),
			`{"event":"pusher_internal:subscription_succeeded","channel":"my-channel","data":"{}"}`,
		},
		"subscribed to presence": {
			SubscriptionSucceeded("presence-x", []byte(`{"presence":{"ids":["1"],"hash":{"1":{"name":"A"}},"count":1}}`)),
			`{"event":"pusher_internal:subscription_succeeded","channel":"presence-x","data":"{\"presence\":{\"ids\":[\"1\"],\"hash\":{\"1\":{\"name\":\"A\"}},\"count\":1}}"}`,
		},
		"subscription refused": {
			SubscriptionError("private-x", "AuthError", "no", 403),
			`{"event":"pusher:subscription_error","channel":"private-x","data":{"type":"AuthError","error":"no","status":403}}`,
		},
		"event": {
			(&Event{Channel: "c", Name: `App\Events\X`, Data: QuoteData([]byte(`{"é":"\u00e9\/"}`))}).Frame(),
			`{"event":"App\\Events\\X","channel":"c","data":"{\"é\":\"\\u00e9\\/\"}"}`,
		},
		"client event": {
			(&Event{Channel: "presence-x", Name: "client-typing", Data: json.RawMessage(`{"a":1}`), UserID: "1"}).Frame(),
			`{"event":"client-typing","channel":"presence-x","data":{"a":1},"user_id":"1"}`,
		},
	} {
		if got := string(c.frame.Payload()); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if !json.Valid(c.frame.Payload()) {
			t.Errorf("%s is not valid JSON", name)
		}
	}
}

func TestParseMessage(t *testing.T) {
	for text, wantErr := range map[string]string{
		`{"event":"pusher:ping","data":{}}`:     "",
		` {"event":"pusher:ping"}`:              "",
		`{"event":"x","unknown":1}`:             "",
		`{"event":"x","data":null}`:             "",
		``:                                      "not a JSON object",
		`[]`:                                    "not a JSON object",
		`"x"`:                                   "not a JSON object",
		`null`:                                  "not a JSON object",
		`{}`:                                    "no event name",
		`{"event":null}`:                        "no event name",
		`{"event":1}`:                           "not valid JSON",
		`{"event":"x","channel":{}}`:            "not valid JSON",
		`{"event":"x"`:                          "not valid JSON",
		`{"event":"x"}{}`:                       "not valid JSON",
		`{"event":"` + strings.Repeat("x", 201): "not valid JSON",
		`{"event":"` + strings.Repeat("x", 201) + `"}`:                       "201 bytes",
		`{"event":"x","data":` + strings.Repeat("[", 20000):                  "not valid JSON",
		`{"event":"x","data":` + strings.Repeat(`{"a":`, 20000) + `1` + `}}`: "not valid JSON",
	} {
		_, err := ParseMessage([]byte(text))
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("ParseMessage(%.60q) = %v, want error with %q", text, err, wantErr)
		}
	}
}

func TestParseSubscribe(t *testing.T) {
	for data, want := range map[string]struct {
		channel string
		ok      bool
	}{
		`{"channel":"jobs.discovery"}`:              {"jobs.discovery", true},
		`{"channel":"jobs.discovery","auth":""}`:    {"jobs.discovery", true},
		`"{\"channel\":\"jobs.discovery\"}"`:        {"jobs.discovery", true},
		`{"channel":"no spaces"}`:                   {"no spaces", false},
		`{"channel":1}`:                             {"", false},
		`{"channel":"a","auth":{}}`:                 {"a", false},
		`{"channel":"a","channel_data":{"user":1}}`: {"a", false},
		`{}`:     {"", false},
		`null`:   {"", false},
		`[]`:     {"", false},
		``:       {"", false},
		`"text"`: {"", false},
	} {
		got, err := ParseSubscribe(json.RawMessage(data))
		if (err == nil) != want.ok || got.Channel != want.channel {
			t.Errorf("ParseSubscribe(%s) = %q, %v; want %q, ok %v", data, got.Channel, err, want.channel, want.ok)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"event":"pusher:subscribe","data":{"channel":"private-x","auth":"k:s","channel_data":"{}"}}`))
	f.Add([]byte(`{"event":"client-x","channel":"private-x","data":[1,"\ud800"]}`))
	f.Add([]byte("{\"event\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMessage(text)
		if err != nil {
			return
		}
		if sub, err := ParseSubscribe(m.Data); err == nil && CheckChannel(sub.Channel) != nil {
			t.Errorf("ParseSubscribe let channel %q pass", sub.Channel)
		}
		e := Event{Channel: m.Channel, Name: m.Event, Data: m.Data}
		if len(e.Data) == 0 {
			e.Data = json.RawMessage("null")
		}
		if e.Check() == nil {
			checkFrame(t, e.Frame())
		}
	})
}

func FuzzQuoteData(f *testing.F) {
	f.Add([]byte("{\"a\":\"\\u0000\x00\x1f\u2028\"}"))
	f.Add([]byte("\"\\\n\r\t\b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return
		}
		var back string
		if err := json.Unmarshal(QuoteData(text), &back); err != nil || back != string(text) {
			t.Errorf("QuoteData(%q) reads back as %q, %v", text, back, err)
		}
		e := Event{Channel: "c", Name: "e", Data: QuoteData(text)}
		checkFrame(t, e.Frame())
	})
}

// checkFrame checks what every browser relies on.
func checkFrame(t *testing.T, f Frame) {
	t.Helper()
	if p := f.Payload(); !utf8.Valid(p) || !json.Valid(p) {
		t.Errorf("frame holds %q, which is not UTF-8 or not JSON", p)
	}
}
