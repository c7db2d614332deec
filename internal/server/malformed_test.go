package server_test

import (
	"strings"
	"testing"

	"broadcastd/internal/config"
)

// attack is what a client sends after its handshake, and what then happens to
// it. With neither error nor close it is answered by a pong.
type attack struct {
	sent  []byte
	error int // code of the pusher:error; the connection stays
	close int // code of the close frame
}

// survive plays attacks against one daemon. Each time another client goes on
// getting events, and new clients are served. change is what the daemon's
// configuration needs besides.
func survive(t *testing.T, attacks map[string]attack, change ...func(*config.Config)) {
	t.Helper()
	d := start(t, append(change, func(c *config.Config) { c.App.MaxMessageSize = maxMessage })...)
	witness := d.connect(t)
	witness.subscribe("jobs")
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			witness.t = t
			c := d.connect(t)
			c.subscribe("jobs")
			c.write(attack.sent)
			switch {
			case attack.error != 0:
				c.wantError(attack.error)
				c.fence()
			case attack.close != 0:
				c.wantClose(attack.close)
			default:
				c.want(`{"event":"pusher:pong","data":{}}`)
			}
			d.publish(t, "jobs", "e", "{}")
			witness.wantEvent("jobs", "e", "{}")
			fresh := d.connect(t)
			fresh.subscribe("jobs")
			fresh.fence()
		})
	}
}

const maxMessage = 120_000

func TestMalformedMessages(t *testing.T) {
	t.Parallel()
	const ping = `{"event":"pusher:ping"}`
	invalid := map[string]string{
		"empty":                  ``,
		"blank":                  ` `,
		"word":                   `hello`,
		"null":                   `null`,
		"number":                 `1`,
		"string":                 `"pusher:ping"`,
		"list":                   `[{"event":"pusher:ping"}]`,
		"no event":               `{}`,
		"event empty":            `{"event":""}`,
		"event null":             `{"event":null}`,
		"event a number":         `{"event":1}`,
		"event an object":        `{"event":{"event":"pusher:ping"}}`,
		"channel a number":       `{"event":"client-a","channel":1,"data":{}}`,
		"unfinished":             `{"event":"pusher:ping"`,
		"unfinished string":      `{"event":"pusher:pi`,
		"trailing":               ping + `}`,
		"two":                    ping + ping,
		"single quotes":          `{'event':'pusher:ping'}`,
		"comment":                `/**/` + ping,
		"NaN":                    `{"event":"pusher:ping","data":NaN}`,
		"byte order mark":        "\ufeff" + ping,
		"NUL":                    "\x00",
		"NUL in a name":          `{"event":"pusher:ping\u0000"}`,
		"newline in a string":    "{\"event\":\"pusher:\nping\"}",
		"deep lists":             strings.Repeat("[", 100_000),
		"deep objects":           strings.Repeat(`{"event":`, 13_000),
		"deep data":              `{"event":"pusher:ping","data":` + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000) + `}`,
		"unknown event":          `{"event":"pusher:hello"}`,
		"signin alone":           `{"event":"pusher:signin"}`,
		"signin without a user":  `{"event":"pusher:signin","data":{"auth":"a:b"}}`,
		"signin as a number":     `{"event":"pusher:signin","data":{"auth":"a:b","user_data":7}}`,
		"a server's event":       `{"event":"pusher_internal:member_added","channel":"jobs","data":"{}"}`,
		"an API's event":         `{"event":"job.posted","channel":"jobs","data":"{}"}`,
		"event name too long":    `{"event":"` + strings.Repeat("e", 201) + `"}`,
		"event name huge":        `{"event":"` + strings.Repeat("e", 100_000) + `"}`,
		"subscribe alone":        `{"event":"pusher:subscribe"}`,
		"subscribe null":         `{"event":"pusher:subscribe","data":null}`,
		"subscribe a number":     `{"event":"pusher:subscribe","data":1}`,
		"subscribe a list":       `{"event":"pusher:subscribe","data":["jobs"]}`,
		"subscribe a name":       `{"event":"pusher:subscribe","data":"jobs"}`,
		"subscribe to nothing":   `{"event":"pusher:subscribe","data":{}}`,
		"subscribe to null":      `{"event":"pusher:subscribe","data":{"channel":null}}`,
		"subscribe to a number":  `{"event":"pusher:subscribe","data":{"channel":1}}`,
		"subscribe to a list":    `{"event":"pusher:subscribe","data":{"channel":["jobs"]}}`,
		"unsubscribe alone":      `{"event":"pusher:unsubscribe"}`,
		"unsubscribe a bad name": `{"event":"pusher:unsubscribe","data":{"channel":"a b"}}`,
		"huge":                   strings.Repeat("x", maxMessage),
	}
	attacks := map[string]attack{
		"pong for free":       {sent: append(text(`{"event":"pusher:pong","data":{"a":[1]}}`), text(ping)...)},
		"spaces around":       {sent: text(" \r\n\t" + ping + " \n")},
		"escapes":             {sent: text(`{"\u0065vent":"pusher\u003aping"}`)},
		"duplicate keys":      {sent: text(`{"event":"x","event":"pusher:ping"}`)},
		"more keys":           {sent: text(`{"event":"pusher:ping","data":{},"id":1,"socket_id":"1.1"}`)},
		"lone surrogates":     {sent: text(`{"event":"pusher:ping","data":"\ud800\udc00\udfff"}`)},
		"as large as allowed": {sent: text(`{"event":"pusher:ping","data":"` + strings.Repeat("x", maxMessage-len(`{"event":"pusher:ping","data":""}`)) + `"}`)},
		"one byte too large":  {sent: text(`{"event":"pusher:ping","data":"` + strings.Repeat("x", maxMessage-len(`{"event":"pusher:ping","data":""}`)+1) + `"}`), close: 1009},
		"invalid UTF-8":       {sent: text("{\"event\":\"pusher:ping\",\"data\":\"\xff\"}"), close: 1007},
		"cut UTF-8":           {sent: text("{\"event\":\"pusher:ping\",\"data\":\"\xe2\x82\"}"), close: 1007},
		"surrogates in UTF-8": {sent: text("{\"event\":\"pusher:ping\",\"data\":\"\xed\xa0\x80\"}"), close: 1007},
		"overlong UTF-8":      {sent: text("{\"event\":\"pusher:ping\",\"data\":\"\xc0\x80\"}"), close: 1007},
	}
	for name, message := range invalid {
		attacks[name] = attack{sent: text(message), error: 4200}
	}
	survive(t, attacks)
}
