package protocol

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// event is what a Laravel application broadcasts: models in a JSON string, each
// some 110 bytes and a text. No two are alike.
func event(models, text int) *Event {
	data := []byte(`{"jobs":[`)
	for range models {
		data = fmt.Appendf(data, `{"id":%d,"status":"open","uuid":"%016x","price":"%d.00","text":"%s","updated_at":"2026-03-09T11:%02d:33.000000Z"},`,
			rand.IntN(1e6), rand.Uint64(), rand.IntN(1000), prose(text), rand.IntN(60))
	}
	data = append(data[:len(data)-1], "]}"...)
	return &Event{Channel: fmt.Sprintf("private-job.%d", rand.IntN(1e6)), Name: `App\Events\JobUpdated`, Data: QuoteData(data)}
}

// prose has about as much in a letter as a language has.
func prose(size int) string {
	syllables := strings.Fields("a be con der e fi ga hin i ka lo mer no on pre qua ri s ta ter u ver wo ing er ed ly tion ment th e, o. st ch ough")
	var b strings.Builder
	for b.Len() < size {
		for range 1 + rand.IntN(3) {
			b.WriteString(syllables[rand.IntN(len(syllables))])
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// compressedPayload checks the header of a compressed frame.
func compressedPayload(t testing.TB, f Frame) []byte {
	t.Helper()
	if f[0] != 0xc1 {
		t.Fatalf("frame begins %#x, want a final text frame with RSV1", f[0])
	}
	if f.Payload() == nil || f.IsClose() {
		t.Error("a compressed frame is taken for one without a text, or for a close frame")
	}
	plain := append(Frame{finText}, f[1:]...)
	if n := frameLength(plain); n != len(plain.Payload()) {
		t.Errorf("header says %d bytes, there are %d", n, len(plain.Payload()))
	}
	return plain.Payload()
}

// browserInflate does what RFC 7692, section 7.2.2 asks of a client.
func browserInflate(payload []byte) ([]byte, error) {
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(bytes.Clone(payload), 0, 0, 0xff, 0xff))))
	if errors.Is(err, io.ErrUnexpectedEOF) { // more blocks could follow
		err = nil
	}
	return text, err
}

func TestDeflate(t *testing.T) {
	for _, models := range []int{1, 5, 50, 500} {
		f := event(models, 300).Frame()
		sent := bytes.Clone(f)
		out := f.Deflate()
		if out == nil || len(out) >= len(f) {
			t.Fatalf("%d bytes became %d", len(f), len(out))
		}
		if !bytes.Equal(f, sent) {
			t.Errorf("%d bytes: Deflate changed the frame", len(f))
		}
		payload := compressedPayload(t, out)
		if bytes.HasSuffix(payload, []byte(flushed)) {
			t.Errorf("%d bytes: the end is not cut off", len(f))
		}
		if got, err := browserInflate(payload); err != nil || !bytes.Equal(got, f.Payload()) {
			t.Errorf("%d bytes: a browser gets %d, %v", len(f.Payload()), len(got), err)
		}
	}
}

func TestDeflateWherePays(t *testing.T) {
	random := make([]byte, 1000)
	for i := range random {
		random[i] = byte(rand.IntN(256))
	}
	for name, c := range map[string]struct {
		frame Frame
		want  bool
	}{
		"too short":        {TextFrame(bytes.Repeat([]byte("a"), minDeflate-1)), false},
		"just long enough": {TextFrame(bytes.Repeat([]byte("a"), minDeflate)), true},
		"incompressible":   {TextFrame(random), false},
		"empty":            {TextFrame(nil), false},
		"ping":             {PingFrame(), false},
		"close":            {CloseFrame(CloseReconnect, strings.Repeat("a", 123)), false},
		"compressed":       {event(50, 300).Frame().Deflate(), false},
	} {
		if got := c.frame.Deflate() != nil; got != c.want {
			t.Errorf("%s: compressed %v, want %v", name, got, c.want)
		}
	}
}

// deflateAs is a message as the standard library's compressor sends it.
func deflateAs(t testing.TB, level int, message []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(message); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:b.Len()-len(flushed)]
}

// TestInflate has the examples of RFC 7692, section 7.2.3, and what else comes.
func TestInflate(t *testing.T) {
	for name, c := range map[string]struct {
		payload string
		want    string
		err     error
	}{
		"one block":                    {"\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", nil},
		"not compressed":               {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello", nil},
		"a final block":                {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", nil},
		"two blocks":                   {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", nil},
		"empty":                        {"\x00", "", nil},
		"no bytes":                     {"", "", nil},
		"final blocks, nothing behind": {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00", "HelloHello", nil},
		"a final block, then another":  {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", "HelloHello", nil},
		"refers to an earlier message": {"\xf2\x00\x11\x00\x00", "", ErrNotDeflated},
		"refers behind a final block":  {"\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00", "", ErrNotDeflated},
		"the end not cut off":          {"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", "", ErrNotDeflated},
		"cut off":                      {"\xf2\x48\xcd\xc9", "", ErrNotDeflated},
		"cut off, not compressed":      {"\x00\x05\x00\xfa\xff\x48\x65", "", ErrNotDeflated},
		"no such kind of block":        {"\x06", "", ErrNotDeflated},
		"not compressed at all":        {`{"event":"pusher:ping"}`, "", ErrNotDeflated},
	} {
		got, err := Inflate(nil, []byte(c.payload), 100)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, c.want, c.err)
		}
	}
}

func TestInflateWhatOthersCompress(t *testing.T) {
	for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression} {
		for _, models := range []int{1, 5, 500} {
			message := event(models, 300).Frame().Payload()
			got, err := Inflate(nil, deflateAs(t, level, message), len(message))
			if err != nil || !bytes.Equal(got, message) {
				t.Errorf("level %d, %d bytes: got %d, %v", level, len(message), len(got), err)
			}
		}
	}
}

func TestInflateReusesTheBuffer(t *testing.T) {
	message := event(5, 300).Frame().Payload()
	payload := deflateAs(t, flate.BestSpeed, message)
	dst := make([]byte, 5, 10_000)
	got, err := Inflate(dst, payload, 10_000)
	if err != nil || !bytes.Equal(got, message) || &got[0] != &dst[0] {
		t.Errorf("got %d bytes, %v, in a buffer of its own: %v", len(got), err, &got[0] != &dst[0])
	}
}

func TestInflateLimit(t *testing.T) {
	const limit = 1000
	for name, dst := range map[string][]byte{
		"no buffer": nil, "a small one": make([]byte, 0, 10), "a larger one": make([]byte, 0, 10_000),
	} {
		for n, want := range map[int]error{limit - 1: nil, limit: nil, limit + 1: ErrInflatedTooLarge, 1 << 20: ErrInflatedTooLarge} {
			got, err := Inflate(dst, deflateAs(t, flate.BestCompression, make([]byte, n)), limit)
			if !errors.Is(err, want) || err == nil && len(got) != n || err != nil && got != nil {
				t.Errorf("%d bytes into %s: got %d, %v; want %v", n, name, len(got), err, want)
			}
		}
	}
	if _, err := Inflate(nil, []byte{0}, 0); err != nil {
		t.Errorf("an empty message is over a limit of 0: %v", err)
	}
}

// TestInflateBomb: what a bomb of 8 MiB costs follows from the limit.
func TestInflateBomb(t *testing.T) {
	const limit = 64 << 10
	bomb := deflateAs(t, flate.BestSpeed, make([]byte, 8<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Inflate(nil, bomb, limit); !errors.Is(err, ErrInflatedTooLarge) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// A decompressor, if the pool had none, is some 40 KiB.
	if got := after.TotalAlloc - before.TotalAlloc; got > 4*limit {
		t.Errorf("%d bytes allocated with a limit of %d", got, limit)
	}
}

// TestInflateForgets: a message can't get at what was in another client's, with
// the decompressor that has just read it.
func TestInflateForgets(t *testing.T) {
	secret := []byte(strings.Repeat(`{"token":"of somebody else"}`, 1500)) // more than a window
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, flate.BestCompression, secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(secret); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	refers := b.Bytes()[:b.Len()-len(flushed)]

	r := &inflater{stream: flate.NewReader(nil)}
	read := func(payload []byte) ([]byte, error) {
		r.payload, r.tail = payload, flushed+final
		dst := make([]byte, 0, 100<<10)
		_, err := r.inflate(dst, cap(dst))
		return dst[:cap(dst)], err
	}
	for name, first := range map[string][]byte{
		"a whole message":            deflateAs(t, flate.BestSpeed, secret),
		"one cut off":                deflateAs(t, flate.BestSpeed, secret)[:100],
		"one that is not compressed": deflateAs(t, flate.NoCompression, secret),
	} {
		if _, err := read(first); name != "one cut off" && err != nil {
			t.Fatal(err)
		}
		got, err := read(refers)
		if !errors.Is(err, ErrNotDeflated) || bytes.Contains(got, []byte("token")) {
			t.Errorf("after %s: %.60q, %v", name, bytes.Trim(got, "\x00"), err)
		}
		// A later message of few bytes doesn't bring it back.
		if got, err := read([]byte{0}); err != nil || bytes.Contains(got, []byte("token")) {
			t.Errorf("after %s, an empty message: %.60q, %v", name, bytes.Trim(got, "\x00"), err)
		}
	}
}

func TestInflaterPoolKeepsNoMessage(t *testing.T) {
	if _, err := Inflate(nil, []byte("broken"), 10); err == nil {
		t.Fatal("broken data was inflated")
	}
	r := inflaters.Get().(*inflater)
	if r.payload != nil || r.tail != "" {
		t.Errorf("an inflater in the pool holds %d bytes of a message", len(r.payload))
	}
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 5)
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 4)
	f.Add([]byte("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), 100)
	f.Add([]byte("\x03\x00\x03\x00\x00"), 0)
	f.Add(deflateAs(f, flate.BestCompression, make([]byte, 100_000)), 1000)
	f.Fuzz(func(t *testing.T, payload []byte, limit int) {
		limit = min(max(limit, 0), 1<<20)
		got, err := Inflate(nil, payload, limit)
		switch {
		case len(got) > limit || cap(got) > limit:
			t.Errorf("%d bytes in a buffer of %d, the limit is %d", len(got), cap(got), limit)
		case err != nil && got != nil:
			t.Errorf("%d bytes and %v", len(got), err)
		case err != nil && !errors.Is(err, ErrInflatedTooLarge) && !errors.Is(err, ErrNotDeflated):
			t.Errorf("error is %v", err)
		}
		if err != nil {
			return
		}
		if again, err := Inflate(make([]byte, 0, 8), payload, len(got)); err != nil || !bytes.Equal(again, got) {
			t.Errorf("the same message again: %d bytes rather than %d, %v", len(again), len(got), err)
		}
	})
}

func FuzzDeflate(f *testing.F) {
	f.Add(event(1, 100).Frame().Payload(), uint16(0))
	f.Add([]byte(`{"event":"`), uint16(40))
	f.Add(bytes.Repeat([]byte{0}, 300), uint16(200))
	f.Fuzz(func(t *testing.T, message []byte, repeat uint16) {
		message = bytes.Repeat(message, 1+int(repeat)%200) // beyond a window
		frame := TextFrame(message).Deflate()
		if frame == nil {
			return
		}
		payload := compressedPayload(t, frame)
		if got, err := Inflate(nil, payload, len(message)); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes come back as %d, %v", len(message), len(got), err)
		}
		if got, err := browserInflate(payload); err != nil || !bytes.Equal(got, message) {
			t.Errorf("a browser gets %d of %d bytes, %v", len(got), len(message), err)
		}
	})
}

// sizes are events of about 300 bytes, 2 KB and 20 KB.
var sizes = []struct {
	name         string
	models, text int
}{{"300B", 1, 80}, {"2KB", 5, 230}, {"20KB", 50, 250}}

// BenchmarkDeflate compresses ten events of each size in turn. The share of
// their bytes that they keep is what minDeflate rests on.
func BenchmarkDeflate(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			var frames [10]Frame
			var before, after int
			for i := range frames {
				frames[i] = event(size.models, size.text).Frame()
				before += len(frames[i])
				after += len(frames[i].Deflate())
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				sink = frames[i%len(frames)].Deflate()
			}
			b.ReportMetric(float64(before)/10, "bytes/event")
			b.ReportMetric(100*float64(after)/float64(before), "%kept")
		})
	}
}

func BenchmarkInflate(b *testing.B) {
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			message := event(size.models, size.text).Frame().Payload()
			payload := deflateAs(b, flate.DefaultCompression, message)
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = Inflate(dst, payload, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
