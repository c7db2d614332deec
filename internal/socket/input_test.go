package socket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// heard is what came of a client's bytes.
type heard struct {
	messages, pongs []string
	close           int // code of the close frame; 0: none
}

const testLimit = 1000 // bytes of a message

// byUs reads a stream in pieces of the given sizes, again and again.
func byUs(stream []byte, pieces ...int) heard {
	var h heard
	f := &Flusher{wake: make(chan struct{}, 1)}
	c := &Conn{flusher: f, limits: &Limits{MaxMessageSize: testLimit}, handler: &h}
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
func byLibrary(stream []byte) heard {
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
	c, err := websocket.Accept(w, r, nil)
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
		err = io.ErrUnexpectedEOF // which ends a message, too
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
func check(t *testing.T, stream []byte, pieces ...int) {
	t.Helper()
	got, want := byUs(stream, len(stream)), byLibrary(stream)
	// The library waits for the whole of what is too large, and answers neither
	// a frame without a mask nor an impossible length.
	early := want.close == 0 && (got.close == int(ReasonTooBig.Code) || got.close == int(ReasonUnmasked.Code))
	if early {
		want.close = got.close
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("% x:\ngot  %.300q\nwant %.300q", stream, fmt.Sprint(got), fmt.Sprint(want))
	}
	if again := byUs(stream, pieces...); fmt.Sprint(again) != fmt.Sprint(got) {
		t.Fatalf("% x:\nin pieces of %v %.300q\nat once          %.300q", stream, pieces, fmt.Sprint(again), fmt.Sprint(got))
	}
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
	for range 20_000 {
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
			frame := clientFrame(first, payload, [4]byte{1, 2, byte(rnd.IntN(256)), 4})
			if rnd.IntN(50) == 0 {
				frame[1] &= 0x7f
			}
			stream = append(stream, frame...)
		}
		stream = stream[:len(stream)-min(rnd.IntN(40), len(stream))*rnd.IntN(2)]
		check(t, stream, rnd.IntN(3), rnd.IntN(20), rnd.IntN(300))
	}
}

func FuzzInput(f *testing.F) {
	f.Add(clientFrame(0x81, []byte("hello"), [4]byte{1, 2, 3, 4}), 3)
	f.Add(slices.Concat(clientFrame(0x01, []byte("hel"), [4]byte{}), clientFrame(0x89, []byte("ping"), [4]byte{9}), clientFrame(0x80, []byte("lo"), [4]byte{})), 1)
	f.Add(clientFrame(0x88, []byte("\x03\xe8bye"), [4]byte{}), 2)
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 4)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) { check(t, stream, piece) })
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
