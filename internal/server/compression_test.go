package server_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"broadcastd/internal/config"
)

// withoutTakeover is what is agreed on: no message refers to an earlier one.
const withoutTakeover = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"

func compression(c *config.Config) { c.App.Compression = true }

// offer is a handshake of the app with these extensions offered.
func (d *daemon) offer(extensions ...string) string {
	lines := strings.Split(d.handshake(appTarget), "\r\n")
	kept := lines[:0]
	for _, line := range lines[:len(lines)-2] {
		if !strings.HasPrefix(line, "Sec-WebSocket-Extensions:") {
			kept = append(kept, line)
		}
	}
	for _, e := range extensions {
		kept = append(kept, "Sec-WebSocket-Extensions: "+e)
	}
	return strings.Join(kept, "\r\n") + "\r\n\r\n"
}

// connectPlain is connect for a client that doesn't offer compression.
func (d *daemon) connectPlain(t testing.TB) *client {
	t.Helper()
	c := d.dial(t)
	c.extensions = ""
	c.write([]byte(d.offer()))
	c.wantUpgrade()
	c.wantEstablished()
	return c
}

// deflate compresses a message as browsers do: flushed, without the end.
func deflate(message string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err == nil {
		_, err = io.WriteString(w, message)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// inflate is what RFC 7692, section 7.2.2 asks of a client.
func inflate(payload []byte) ([]byte, error) {
	text, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff"))))
	if errors.Is(err, io.ErrUnexpectedEOF) { // more blocks could follow
		err = nil
	}
	return text, err
}

// compressed is a compressed message in one frame.
func compressed(message string) []byte { return frame(fin|rsv1|opText, deflate(message)) }

// large is data of at least size bytes: objects, each with a comma behind it.
func large(size int) string {
	rnd := rand.New(rand.NewPCG(1, uint64(size)))
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, `{"id":%d,"title":"é %x"},`, rnd.IntN(1e6), rnd.Uint64())
	}
	return b.String()
}

// TestCompressionNegotiation: what clients offer, and what is agreed on.
func TestCompressionNegotiation(t *testing.T) {
	t.Parallel()
	off, on := start(t), start(t, compression)
	for name, test := range map[string]struct {
		offered []string
		want    string
	}{
		"browser":                {[]string{"permessage-deflate; client_max_window_bits"}, withoutTakeover},
		"bare":                   {[]string{"permessage-deflate"}, withoutTakeover},
		"without takeover":       {[]string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, withoutTakeover},
		"client's window":        {[]string{"permessage-deflate; client_max_window_bits=10"}, withoutTakeover},
		"server's small window":  {[]string{"permessage-deflate; server_max_window_bits=10"}, ""},
		"the same, else any":     {[]string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}, withoutTakeover},
		"the same, in two lines": {[]string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate"}, withoutTakeover},
		"others":                 {[]string{"x-webkit-deflate-frame, permessage-bzip2"}, ""},
		"unknown parameter":      {[]string{"permessage-deflate; level=9"}, ""},
		"nothing":                {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range []*daemon{off, on} {
				c := d.dial(t)
				c.extensions = ""
				if d == on {
					c.extensions = test.want
				}
				c.write([]byte(d.offer(test.offered...)))
				c.wantUpgrade()
				c.wantEstablished()
				c.fence()
			}
		})
	}
}

// TestCompressedEvents: large events reach those who agreed as one compressed
// frame and others as they are, in one order.
func TestCompressedEvents(t *testing.T) {
	t.Parallel()
	d := start(t, compression)
	deflating, plain, sender := d.connect(t), d.connectPlain(t), d.connect(t)
	clients := []*client{deflating, plain, sender}
	for _, c := range clients {
		c.subscribe("jobs", "private-jobs", "cache-jobs")
	}

	data := large(2000)
	d.publish(t, "jobs", "e", data)
	if first, err := deflating.br.Peek(1); err != nil || first[0] != 0xc1 {
		t.Errorf("the event's frame begins % x, %v; want a compressed one", first, err)
	}
	if first, err := plain.br.Peek(1); err != nil || first[0] != 0x81 {
		t.Errorf("without an offer the event's frame begins % x, %v", first, err)
	}
	for _, c := range clients {
		c.wantEvent("jobs", "e", data)
		c.fence()
	}

	t.Run("order", func(t *testing.T) {
		before := deflating.compressed
		for i := range 200 {
			d.publish(t, "jobs", fmt.Sprint(i), large(i*10))
		}
		for _, c := range clients {
			c.t = t
			for i := range 200 {
				c.wantEvent("jobs", fmt.Sprint(i), large(i*10))
			}
			c.fence()
		}
		if got := deflating.compressed - before; got == 0 || got == 200 {
			t.Errorf("%d of 200 events were compressed; the first are small, the last large", got)
		}
	})
	t.Run("small", func(t *testing.T) {
		before := deflating.compressed
		d.publish(t, "jobs", "e", "small")
		for _, c := range clients {
			c.t = t
			c.wantEvent("jobs", "e", "small")
		}
		if deflating.compressed != before {
			t.Error("an event of some 60 bytes was compressed")
		}
	})
	t.Run("exclusion", func(t *testing.T) {
		for _, c := range clients {
			c.t = t
		}
		body := mustJSON(t, map[string]string{"name": "e", "channel": "jobs", "data": data, "socket_id": sender.id.String()})
		if got := d.post(t, eventsPath, body); got.status != 200 {
			t.Fatalf("publishing: %d %s", got.status, got.body)
		}
		whisper := `{"event":"client-e","channel":"private-jobs","data":` + string(mustJSON(t, data)) + `}`
		before := deflating.compressed
		sender.write(compressed(whisper))
		sender.fence()
		for _, c := range clients[:2] {
			c.wantEvent("jobs", "e", data)
			c.want(whisper)
		}
		if got := deflating.compressed - before; got != 2 {
			t.Errorf("%d of two large events were compressed", got)
		}
	})
	t.Run("kept", func(t *testing.T) {
		d.publish(t, "cache-jobs", "e", data)
		late := d.connect(t)
		late.send(late.subscription("cache-jobs", ""))
		late.next()
		late.wantEvent("cache-jobs", "e", data)
		if late.compressed != 0 {
			t.Error("a kept event was compressed for one client")
		}
		for _, c := range clients {
			c.t = t
			c.wantEvent("cache-jobs", "e", data)
		}
	})
	t.Run("members", func(t *testing.T) {
		before := deflating.compressed
		deflating.t = t
		deflating.subscribe("presence-jobs")
		late := d.connect(t)
		user := strings.Repeat("u", 128)
		late.send(late.subscription("presence-jobs", user))
		for _, c := range []*client{late, deflating} {
			if text := c.raw(); len(text) < 300 || !strings.Contains(text, user) {
				t.Errorf("message is %q", text)
			}
		}
		if late.compressed != 0 || deflating.compressed != before {
			t.Error("a list of members or a member was compressed")
		}
	})
	if plain.compressed != 0 {
		t.Errorf("a client that hadn't offered compression got %d compressed frames", plain.compressed)
	}
}

// TestCompressedMessages: what clients may send once compression is agreed on,
// and what ends their connection.
func TestCompressedMessages(t *testing.T) {
	t.Parallel()
	const ping = `{"event":"pusher:ping"}`
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	whole := deflate(ping)
	longer := func(by int) string {
		return `{"event":"pusher:ping","data":"` + strings.Repeat("x", maxMessage-len(`{"event":"pusher:ping","data":""}`)+by) + `"}`
	}
	survive(t, map[string]attack{
		"ping":                   {sent: compressed(ping)},
		"large":                  {sent: compressed(`{"event":"pusher:ping","data":[` + large(5000) + `0]}`)},
		"plain":                  {sent: text(ping)},
		"fragmented":             {sent: join(frame(rsv1|opText, whole[:5]), frame(opContinuation, ""), frame(fin|opContinuation, whole[5:]))},
		"control between":        {sent: join(frame(rsv1|opText, whole[:5]), frame(fin|opPong, "x"), frame(fin|opContinuation, whole[5:]))},
		"nothing in the first":   {sent: join(frame(rsv1|opText, ""), frame(fin|opContinuation, whole))},
		"as large as allowed":    {sent: compressed(longer(0))},
		"stored, not compressed": {sent: frame(fin|rsv1|opText, "\x00\x17\x00\xe8\xff"+ping+"\x00")},
		"a final block":          {sent: frame(fin|rsv1|opText, "\x01\x17\x00\xe8\xff"+ping+"\x00")},
		"empty":                  {sent: frame(fin|rsv1|opText, "\x00"), error: 4200},
		"no bytes":               {sent: frame(fin|rsv1|opText, ""), error: 4200},
		"not JSON":               {sent: compressed("hello"), error: 4200},

		"one byte too large":         {sent: compressed(longer(1)), close: 1009},
		"a bomb":                     {sent: compressed(strings.Repeat(" ", 20*maxMessage)), close: 1009},
		"a bomb in fragments":        {sent: join(frame(rsv1|opText, deflate(strings.Repeat(" ", 20*maxMessage))), frame(fin|opContinuation, "\x00")), close: 1009},
		"too large, compressed":      {sent: join(frame(rsv1|opText, strings.Repeat("\x00", maxMessage)), frame(opContinuation, "\x00")), close: 1009},
		"garbage":                    {sent: frame(fin|rsv1|opText, "hello"), close: 1007},
		"text marked as compressed":  {sent: frame(fin|rsv1|opText, ping), close: 1007},
		"cut off":                    {sent: frame(fin|rsv1|opText, whole[:len(whole)-5]), close: 1007},
		"the end not cut off":        {sent: frame(fin|rsv1|opText, whole+"\x00\x00\xff\xff"), close: 1007},
		"refers to nothing":          {sent: frame(fin|rsv1|opText, "\xf2\x00\x11\x00\x00"), close: 1007},
		"invalid UTF-8":              {sent: compressed("{\"event\":\"pusher:ping\",\"data\":\"\xff\"}"), close: 1007},
		"mark on a continuation":     {sent: join(frame(rsv1|opText, whole[:5]), frame(fin|rsv1|opContinuation, whole[5:])), close: 1002},
		"mark on the second only":    {sent: join(frame(opText, ping[:5]), frame(fin|rsv1|opContinuation, whole)), close: 1002},
		"mark on a ping":             {sent: frame(fin|rsv1|opPing, ""), close: 1002},
		"mark on a pong":             {sent: frame(fin|rsv1|opPong, ""), close: 1002},
		"mark on a close":            {sent: frame(fin|rsv1|opClose, "\x03\xe8"), close: 1002},
		"reserved bit 2":             {sent: frame(fin|rsv1|0x20|opText, whole), close: 1002},
		"binary":                     {sent: frame(fin|rsv1|opBinary, whole), close: 1003},
		"compressed within a text":   {sent: join(frame(opText, ping[:5]), compressed(ping)), close: 1002},
		"text within one compressed": {sent: join(frame(rsv1|opText, whole[:5]), text(ping)), close: 1002},
	}, compression)
}

// TestCompressedSubscribe does in compressed messages all that browsers do,
// once they compress what they send.
func TestCompressedSubscribe(t *testing.T) {
	t.Parallel()
	d := start(t, compression)
	c, other := d.connect(t), d.connect(t)
	for _, channel := range []string{"jobs", "private-a", "presence-a"} {
		c.write(compressed(c.subscription(channel, "u1")))
		if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" || m.Channel != channel {
			t.Fatalf("subscribing to %q: %s %s", channel, m.Event, m.Data)
		}
	}
	other.subscribe("private-a")
	whisper := `{"event":"client-typing","channel":"private-a","data":{"by":"é"}}`
	c.write(frame(rsv1|opText, deflate(whisper)[:9]))
	c.write(frame(fin|opPing, "still there?"))
	if op, payload, err := c.read(); err != nil || op != opPong || string(payload) != "still there?" {
		t.Fatalf("answer to a ping within a compressed message: %#x %q, %v", op, payload, err)
	}
	c.write(frame(fin|opContinuation, deflate(whisper)[9:]))
	other.want(whisper)
	c.write(compressed(`{"event":"pusher:unsubscribe","data":{"channel":"private-a"}}`))
	c.write(compressed(`{"event":"pusher:ping"}`))
	c.want(`{"event":"pusher:pong","data":{}}`)
	other.send(whisper)
	other.fence()
	c.fence() // it left
}

// TestCompressedByOthers: what is left of other messages in buffers and windows
// that connections use in turn reaches nobody.
func TestCompressedByOthers(t *testing.T) {
	t.Parallel()
	d := start(t, compression, func(c *config.Config) { c.App.MaxClientEvents = 0 })
	var wg sync.WaitGroup
	for i := range 8 {
		channel := fmt.Sprintf("private-%d", i)
		sender, listener := d.connect(t), d.connect(t)
		sender.subscribe(channel)
		listener.subscribe(channel)
		whisper := func(n int) string {
			return fmt.Sprintf(`{"event":"client-%d","channel":%q,"data":%q}`, n, channel, strings.Repeat(fmt.Sprint(i, n), 10+n*i))
		}
		wg.Go(func() {
			for n := range 100 {
				if _, err := sender.nc.Write(compressed(whisper(n))); err != nil {
					t.Errorf("%s: %v", channel, err)
				}
			}
		})
		wg.Go(func() {
			for n := range 100 {
				if _, got, err := listener.read(); err != nil || string(got) != whisper(n) {
					t.Errorf("%s: message is %.100q, %v; want %.100q", channel, got, err, whisper(n))
					return
				}
			}
		})
	}
	wg.Wait()

	c := d.connect(t)
	c.write(compressed(`{"event":"pusher:ping"}`))
	c.want(`{"event":"pusher:pong","data":{}}`)
	c.write(frame(fin|rsv1|opText, "\xf2\x00\x11\x00\x00")) // refers to what came before
	c.wantClose(1007)
}

// TestBombsAreBounded: a message is inflated up to the limit, not further. No
// test runs beside it, since the process's memory is counted.
func TestBombsAreBounded(t *testing.T) {
	d := start(t, compression)
	const size = 20 << 20
	bomb := compressed(strings.Repeat(" ", size))
	c := d.connect(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.write(bomb)
	c.wantClose(1009)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > size/10 {
		t.Errorf("%d bytes, inflated %d, cost %d bytes of memory", len(bomb), size, got)
	}
	d.waitMetric(t, `broadcastd_disconnections_total{reason="message_too_big"}`, 1)
}
