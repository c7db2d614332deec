package socket

import (
	"bufio"
	"bytes"
	stdflate "compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/flate"

	"broadcastd/protocol"
)

// heard is what came of a client's bytes.
type heard struct {
	messages, pongs []string
	close           int // code of the close frame; 0: none
}

const testLimit = 1000 // bytes of a message

// byUs reads a stream in pieces of the given sizes, again and again.
func byUs(stream []byte, deflates bool, pieces ...int) heard {
	var h heard
	f := &Flusher{wake: make(chan struct{}, 1)}
	c := &Conn{flusher: f, limits: &Limits{MaxMessageSize: testLimit}, handler: &h, deflates: deflates}
	for i := 0; len(stream) > 0; i++ {
		n := min(max(pieces[i%len(pieces)], 1), len(stream))
		c.receive(bytes.Clone(stream[:n]))
		stream = stream[n:]
	}
	for _, w := range f.inbox {
		switch {
		case w.op == opClose:
			h.close = int(c.ended.Load().Code)
		case w.frame.IsClose() && len(w.frame) >= 4:
			h.close = int(binary.BigEndian.Uint16(w.frame[2:]))
		case w.frame.IsClose():
			h.close = int(websocket.StatusNoStatusRcvd)
		default:
			h.pongs = append(h.pongs, string(w.frame[2:]))
		}
	}
	return h
}

func (h *heard) Message(text []byte) { h.messages = append(h.messages, string(text)) }
func (h *heard) End(*Reason)         {}

// byLibrary is what github.com/coder/websocket makes of a stream, with this
// package's own rules, which the library leaves to its users.
func byLibrary(stream []byte, deflates bool) heard {
	var h heard
	wire := &wire{stream: bytes.NewReader(stream)}
	w := &hijacked{httptest.NewRecorder(), wire}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
	} {
		r.Header.Set(name, value)
	}
	options := &websocket.AcceptOptions{}
	if deflates {
		r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	c, err := websocket.Accept(w, r, options)
	if err != nil {
		panic(err)
	}
	c.SetReadLimit(testLimit)
	for h.close == 0 {
		kind, message, err := c.Reader(r.Context())
		if err != nil {
			break
		}
		if kind != websocket.MessageText {
			h.close = int(ReasonBinary.Code)
			break
		}
		text, err := io.ReadAll(message)
		switch {
		case err != nil:
		case !utf8.Valid(text):
			h.close = int(ReasonUTF8.Code)
		default:
			h.messages = append(h.messages, string(text))
		}
		if err != nil {
			break
		}
	}
	for sent := wire.sent.Bytes(); len(sent) > 0; {
		n := int(sent[1])
		switch payload := sent[2 : 2+n]; {
		case sent[0]&0xf == opcodePong:
			h.pongs = append(h.pongs, string(payload))
		case h.close != 0:
		case n > 2 && !utf8.Valid(payload[2:]):
			h.close = int(ReasonProtocol.Code)
		case n >= 2:
			h.close = int(binary.BigEndian.Uint16(payload))
		default:
			h.close = int(websocket.StatusNoStatusRcvd)
		}
		sent = sent[2+n:]
	}
	_ = c.CloseNow() // the wire is in memory
	return h
}

// wire is a connection on which a client has sent everything at once.
type wire struct {
	net.Conn
	stream *bytes.Reader
	sent   bytes.Buffer
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.stream.Read(b)
	if err != nil {
		err = io.ErrClosedPipe // io.EOF could be the end of a message
	}
	return n, err
}

func (w *wire) Write(b []byte) (int, error) { return w.sent.Write(b) }
func (w *wire) Close() error                { return nil }

func (w *wire) SetDeadline(time.Time) error { return nil }

type hijacked struct {
	*httptest.ResponseRecorder
	wire *wire
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.wire, bufio.NewReadWriter(bufio.NewReader(h.wire), bufio.NewWriter(h.wire)), nil
}

// check compares the two, and what we make of the stream in pieces.
func check(t *testing.T, stream []byte, deflates bool, pieces ...int) {
	t.Helper()
	known := agreed(stream, deflates)
	got, want := byUs(known, deflates, len(known)), byLibrary(known, deflates)
	// The library waits for the whole of what is too large, and answers neither
	// a frame without a mask nor an impossible length.
	early := want.close == 0 && (got.close == int(ReasonTooBig.Code) || got.close == int(ReasonUnmasked.Code))
	if early {
		want.close = got.close
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("% x:\ngot  %.300q\nwant %.300q", known, fmt.Sprint(got), fmt.Sprint(want))
	}
	got = byUs(stream, deflates, len(stream))
	if again := byUs(stream, deflates, pieces...); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Fatalf("% x:\nin pieces of %v %.300q\nat once          %.300q", stream, pieces, fmt.Sprint(again), fmt.Sprint(got))
	}
}

// agreed is the stream up to the first message that the library reads in another
// way. It takes control frames with a length in more bytes than need be. It
// inflates before a message is complete, takes one that is cut off or was too
// large while it was compressed, and confuses messages once one has a block
// marked as final.
func agreed(stream []byte, deflates bool) []byte {
	var begin int
	var message []byte // compressed, so far
	var compressed bool
	for rest := stream; ; {
		h, reason := parseHeader(rest)
		if reason != nil && h.isControl() && h.fin && rest[1]&0x7f > 125 {
			return stream[:len(stream)-len(rest)]
		}
		if reason != nil || h.size == 0 {
			return stream
		}
		if !h.isControl() && h.opcode != opcodeContinuation {
			begin, message, compressed = len(stream)-len(rest), nil, deflates && h.deflated
		}
		part := compressed && !h.isControl()
		if len(rest)-h.size < h.length {
			if part {
				return stream[:begin]
			}
			return stream
		}
		if part {
			payload := bytes.Clone(rest[h.size : h.size+h.length])
			unmask(payload, h.mask)
			message = append(message, payload...)
			size, open, ends := inflates(message)
			single := h.fin && h.opcode != opcodeContinuation
			if !open || h.fin && !ends || len(message) > testLimit || !single && size > testLimit {
				return stream[:begin]
			}
		}
		rest = rest[h.size+h.length:]
	}
}

// flushed is what senders leave out (RFC 7692, section 7.2.1).
const flushed = "\x00\x00\xff\xff"

// inflates tells the size of a message when inflated, whether more could
// follow, and whether it could end here.
func inflates(message []byte) (size int, open, ends bool) {
	read := func(end string) ([]byte, error) {
		return io.ReadAll(stdflate.NewReader(io.MultiReader(bytes.NewReader(message), strings.NewReader(end))))
	}
	text, err := read(flushed)
	ended, errEnded := read(flushed + "\x01\x00\x00\xff\xff")
	return len(text), errors.Is(err, io.ErrUnexpectedEOF), errEnded == nil && bytes.Equal(text, ended)
}

func deflated(message []byte) []byte {
	var b bytes.Buffer
	_ = flate.StatelessDeflate(&b, message, false, nil) // a bytes.Buffer takes everything
	return bytes.TrimSuffix(b.Bytes(), []byte(flushed))
}

// clientFrame is a frame as clients send them.
func clientFrame(first byte, payload []byte, mask [4]byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i%4])
	}
	return b
}

// TestInput reads random streams, most frames of which are right.
func TestInput(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	firsts := []byte{0x81, 0x81, 0x81, 0x01, 0x00, 0x80, 0x89, 0x8a}
	rare := []byte{0x88, 0x82, 0xc1, 0x09, 0x83, 0x8b, 0xff}
	for i := range 20_000 {
		deflates := i%4 == 0
		var stream []byte
		for range rnd.IntN(6) {
			first := firsts[rnd.IntN(len(firsts))]
			if rnd.IntN(10) == 0 {
				first = rare[rnd.IntN(len(rare))]
			}
			payload := bytes.Repeat([]byte("é"), rnd.IntN(30))
			if rnd.IntN(10) == 0 {
				payload = bytes.Repeat([]byte{'x'}, rnd.IntN(1200))
			}
			if first == 0x88 && rnd.IntN(4) > 0 {
				payload = append(binary.BigEndian.AppendUint16(nil, uint16(rnd.IntN(5100))), "bye"...)
			}
			mask := [4]byte{1, 2, byte(rnd.IntN(256)), 4}
			frame := clientFrame(first, payload, mask)
			if deflates && rnd.IntN(2) == 0 {
				frame = compressedMessage(rnd, payload, mask)
			}
			if rnd.IntN(50) == 0 {
				frame[1] &= 0x7f
			}
			stream = append(stream, frame...)
		}
		stream = stream[:len(stream)-min(rnd.IntN(40), len(stream))*rnd.IntN(2)]
		check(t, stream, deflates, rnd.IntN(3), rnd.IntN(20), rnd.IntN(300))
	}
}

// compressedMessage is a message in one frame or in two, with a ping between.
func compressedMessage(rnd *rand.Rand, message []byte, mask [4]byte) []byte {
	payload := deflated(message)
	if rnd.IntN(2) == 0 {
		return clientFrame(0xc1, payload, mask)
	}
	n := rnd.IntN(len(payload) + 1)
	return slices.Concat(
		clientFrame(0x41, payload[:n], mask), clientFrame(0x89, []byte("between"), mask), clientFrame(0x80, payload[n:], mask))
}

func FuzzInput(f *testing.F) {
	hello := deflated([]byte("hello hello hello"))
	for _, deflates := range []bool{false, true} {
		f.Add(clientFrame(0x81, []byte("hello"), [4]byte{1, 2, 3, 4}), deflates, 3)
		f.Add(slices.Concat(clientFrame(0x01, []byte("hel"), [4]byte{}), clientFrame(0x89, []byte("ping"), [4]byte{9}), clientFrame(0x80, []byte("lo"), [4]byte{})), deflates, 1)
		f.Add(clientFrame(0x88, []byte("\x03\xe8bye"), [4]byte{}), deflates, 2)
		f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, deflates, 4)
		f.Add(slices.Concat(clientFrame(0xc1, hello, [4]byte{1, 2, 3, 4}), clientFrame(0x41, hello[:4], [4]byte{}), clientFrame(0x80, hello[4:], [4]byte{})), deflates, 5)
		f.Add(clientFrame(0xc1, []byte("\x01\x02\x00\xfd\xff{}\x00"), [4]byte{}), deflates, 1)
		f.Add([]byte{0xc1, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, deflates, 4)
		f.Add(clientFrame(0xc1, deflated(make([]byte, 2*testLimit)), [4]byte{}), deflates, 7)
	}
	f.Fuzz(func(t *testing.T, stream []byte, deflates bool, piece int) { check(t, stream, deflates, piece) })
}

// TestInputKeepsNothing: between messages a connection holds no memory for
// reading, whatever the pieces were.
func TestInputKeepsNothing(t *testing.T) {
	f := &Flusher{wake: make(chan struct{}, 1)}
	var h heard
	c := &Conn{flusher: f, limits: &Limits{MaxMessageSize: testLimit}, handler: &h}
	message := slices.Concat(
		clientFrame(0x01, bytes.Repeat([]byte("x"), 300), [4]byte{1}),
		clientFrame(0x80, []byte("y"), [4]byte{1}))
	for _, b := range message {
		if c.receive([]byte{b}); c.in == nil && len(h.messages) == 0 {
			t.Fatal("the beginning of a message was forgotten")
		}
	}
	if c.in != nil || len(h.messages) != 1 {
		t.Errorf("after %d messages %+v is kept", len(h.messages), c.in)
	}
}

// TestFloodIsReadLater has a client send more than the flusher works off.
func TestFloodIsReadLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Flusher{wake: make(chan struct{}, 1)}
		c := &Conn{flusher: f, limits: &Limits{MaxMessageSize: testLimit}, handler: nobody{}}
		const pings = 2 * maxHeard
		go c.receive(bytes.Repeat(clientFrame(0x89, nil, [4]byte{}), pings))
		synctest.Wait()
		if n := f.backlog.Load(); n > maxHeard+1 {
			t.Errorf("%d answers wait, want %d at most", n, maxHeard+1)
		}
		for answered := int64(0); answered < pings; {
			answered += f.backlog.Load()
			f.mu.Lock() // as workOff
			f.inbox = nil
			f.backlog.Store(0)
			f.mu.Unlock()
			time.Sleep(time.Second)
		}
	})
}

// TestWhatClientsCauseIsReadLater has clients be told of others, and events come,
// faster than either is written: only the former lets clients wait.
func TestWhatClientsCauseIsReadLater(t *testing.T) {
	for name, tt := range map[string]struct {
		received time.Time
		answers  int64
	}{
		"events":           {time.Now(), 1},
		"members come, go": {time.Time{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &Flusher{wake: make(chan struct{}, 1), topics: topics{}}
				fs := &Flushers{all: []*Flusher{f}}
				for f.pending.Load() <= maxPending {
					fs.Broadcast(0, 1, protocol.Shared{Frame: make(protocol.Frame, 1000)}, 0, tt.received)
				}
				waiting := f.backlog.Load()
				c := &Conn{flusher: f, limits: &Limits{MaxMessageSize: testLimit}, handler: nobody{}}
				go c.receive(clientFrame(0x89, nil, [4]byte{}))
				synctest.Wait()
				if got := f.backlog.Load() - waiting; got != tt.answers {
					t.Errorf("%d pings are answered, want %d", got, tt.answers)
				}
				for i := range waiting { // nobody is in the topic
					f.broadcast(&f.inbox[i])
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := f.backlog.Load() - waiting; got != 1 || f.caused.Load() != 0 {
					t.Errorf("afterwards %d are, and %d bytes count as caused", got, f.caused.Load())
				}
			})
		})
	}
}

func BenchmarkInput(b *testing.B) {
	f := &Flusher{wake: make(chan struct{}, 1)}
	c := &Conn{flusher: f, limits: &Limits{MaxMessageSize: testLimit}, handler: nobody{}}
	frame := clientFrame(0x81, []byte(`{"event":"pusher:subscribe","data":{"channel":"jobs.discovery"}}`), [4]byte{1, 2, 3, 4})
	buf := make([]byte, len(frame))
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, frame)
		c.receive(buf)
	}
}

type nobody struct{}

func (nobody) Message([]byte) {}
func (nobody) End(*Reason)    {}

// TestInputIsBounded: what comes byte by byte, in one frame or in one of each
// byte, takes about as much as a message may have.
func TestInputIsBounded(t *testing.T) {
	const limit = 100 << 10
	payload := bytes.Repeat([]byte("x"), limit)
	frame := clientFrame(0x80|opcodeText, payload, [4]byte{})
	var fragments []byte
	for i := range limit {
		opcode := byte(opcodeContinuation)
		if i == 0 {
			opcode = opcodeText
		}
		fragments = append(fragments, clientFrame(opcode, payload[:1], [4]byte{})...)
	}
	for name, stream := range map[string][]byte{"a frame": frame[:len(frame)-1], "fragments": fragments} {
		c := &Conn{flusher: &Flusher{wake: make(chan struct{}, 1)}, limits: &Limits{MaxMessageSize: limit}, handler: nobody{}}
		for i := range stream {
			c.receive([]byte{stream[i]})
		}
		if c.Done() {
			t.Fatalf("%s: the connection was ended", name)
		}
		if n := cap(c.in.rest) + cap(c.in.message); n > 2*limit {
			t.Errorf("%s: %d bytes are held for a message of %d", name, n, limit)
		}
	}
}

// BenchmarkInputByteByByte receives a large message in pieces of one byte.
func BenchmarkInputByteByByte(b *testing.B) {
	frame := clientFrame(0x80|opcodeText, bytes.Repeat([]byte("x"), 100<<10), [4]byte{})
	for b.Loop() {
		c := &Conn{flusher: &Flusher{wake: make(chan struct{}, 1)}, limits: &Limits{MaxMessageSize: 100 << 10}, handler: nobody{}}
		for i := range frame {
			c.receive(frame[i : i+1 : i+1])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frame)), "ns/byte")
}
