package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzSession sends bytes to a live session, as frames and as they come. The
// daemon stays, another client is not disturbed, and new ones are served.
func FuzzSession(f *testing.F) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, seed := range [][]byte{
		text(`{"event":"pusher:ping"}`),
		text(`{"event":"pusher:subscribe","data":{"channel":"jobs"}}`),
		join(text(`{"event":"pusher:subscribe","data":"{\"channel\":\"presence-a\",\"auth\":\"a:b\"}"}`), text(`{"event":"pusher:unsubscribe","data":{"channel":"presence-a"}}`)),
		text(`{"event":"client-a","channel":"private-a","data":{"a":[1,null,"\ud800"]}}`),
		join(frame(opText, `{"event":`), frame(fin|opPing, "x"), frame(fin|opContinuation, `"pusher:pong"}`)),
		join(header(fin|opText, 0x80, 1<<40), maskKey[:]),
		closeFrame(1000, "bye"),
		frame(fin|opBinary, "\x00\xff"),
		compressed(`{"event":"pusher:subscribe","data":{"channel":"jobs"}}`),
		join(frame(rsv1|opText, deflate(`{"event":"pusher:ping"}`)[:7]), frame(fin|opPing, "x"), frame(fin|opContinuation, deflate(`{"event":"pusher:ping"}`)[7:])),
		frame(fin|rsv1|opText, "\x01\x02\x00\xfd\xff{}\x00"),
		frame(fin|rsv1|opText, "\xf2\x00\x11\x00\x00"),
		{fin | opText},
		[]byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Add([]byte(`{"event":"pusher:subscribe","data":{"channel":"jobs"}}`), true)
	f.Add([]byte("\xff\xfe"), true)

	d := start(f, compression)
	witness := d.connect(f)
	witness.subscribe("jobs")
	f.Fuzz(func(t *testing.T, sent []byte, asText bool) {
		c := d.connect(t)
		if asText {
			sent = text(string(sent))
		}
		_, _ = c.nc.Write(sent) // the daemon may have had enough before the end
		_ = c.nc.CloseWrite()
		for {
			op, payload, err := c.read()
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errBadFrame) {
				t.Fatalf("after %q: %v", sent, err)
			}
			if err != nil {
				break
			}
			if op == opText && !json.Valid(payload) {
				t.Fatalf("message %q is not JSON", payload)
			}
		}
		fresh := d.connect(t)
		fresh.subscribe("jobs")
		_ = fresh.nc.Close()
		_ = c.nc.Close()
		witness.t = t
		witness.fence()
		d.checkLog(t)
	})
}

// FuzzHTTPAPI posts signed bodies. The answers are of the documented forms, and
// nothing is delivered of what was refused.
func FuzzHTTPAPI(f *testing.F) {
	const event = `{"name":"e","channel":"jobs","data":"{}"}`
	for _, seed := range []string{
		event, `{}`, `[]`, `null`, ``, `{"batch":[` + event + `,` + event + `]}`, `{"batch":[null]}`, `{"batch":[{}]}`,
		`{"name":"e","channels":["jobs","a b"],"data":"{}"}`,
		`{"name":"e","channels":["jobs","jobs"],"data":"\ud800","socket_id":"1.1"}`,
		`{"name":"\u0000\"","channel":"jobs","data":"\u0000"}`,
		`{"name":"e","channel":"jobs","data":{"a":1}}`,
		`{"name":"e","Channel":"jobs","channel":null,"data":"","socket_id":""}`,
		strings.Repeat(`{"batch":[`, 100), "\xff", `{"name":"` + "\xff" + `","channel":"jobs","data":""}`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	d := start(f)
	witness := d.connect(f)
	witness.subscribe("jobs")
	f.Fuzz(func(t *testing.T, body []byte, batch bool) {
		path := eventsPath
		if batch {
			path = batchPath
		}
		got := d.post(t, path, body)
		witness.t = t
		witness.send(`{"event":"pusher:ping"}`)
		delivered := 0
		for m := witness.next(); m.Event != "pusher:pong" || m.Channel != ""; m = witness.next() {
			_ = m.text(t)
			delivered++
		}
		switch {
		case got.status == 200 && strings.HasPrefix(got.body, `{`) && (delivered <= 1 || batch && delivered <= 10):
		case got.status == 400 || got.status == 413:
			wantErrorLine(t, got, got.status)
			if delivered > 0 {
				t.Errorf("refused, but %d events were delivered", delivered)
			}
		default:
			t.Errorf("%d %q, %d events delivered", got.status, got.body, delivered)
		}
		d.checkLog(t)
	})
}
