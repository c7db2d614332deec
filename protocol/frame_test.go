package protocol

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func TestTextFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 200_000} {
		payload := bytes.Repeat([]byte("x"), n)
		f := TextFrame(payload)
		if f[0] != 0x81 || f[1]&0x80 != 0 {
			t.Errorf("%d bytes: header begins %#x %#x, want an unmasked final text frame", n, f[0], f[1])
		}
		if got := frameLength(f); got != n {
			t.Errorf("%d bytes: header says %d", n, got)
		}
		if !bytes.Equal(f.Payload(), payload) {
			t.Errorf("%d bytes: payload has %d", n, len(f.Payload()))
		}
	}
}

// frameLength reads a header as RFC 6455, section 5.2 says, and checks that
// the length takes the fewest bytes.
func frameLength(f Frame) int {
	switch n := int(f[1]); {
	case n < 126:
		return n
	case n == 126:
		if n := int(binary.BigEndian.Uint16(f[2:])); n >= 126 {
			return n
		}
	default:
		if n := int(binary.BigEndian.Uint64(f[2:])); n > 65535 {
			return n
		}
	}
	return -1
}

func TestCloseFrame(t *testing.T) {
	f := CloseFrame(CloseReconnect, strings.Repeat("r", 200))
	if len(f) != 127 || f[0] != 0x88 || f[1] != 125 || binary.BigEndian.Uint16(f[2:]) != 4200 {
		t.Errorf("close frame of %d bytes begins % x", len(f), f[:4])
	}
	if !f.IsClose() || Ping().IsClose() || f.Payload() != nil {
		t.Error("a close frame is not told from a message")
	}
}

var sink Frame

func BenchmarkEventFrame(b *testing.B) {
	e := Event{Channel: "private-job.42", Name: "job.updated", Data: QuoteData(bytes.Repeat([]byte(`{"id":42}`), 20))}
	b.ReportAllocs()
	for b.Loop() {
		sink = e.Frame()
	}
}

func BenchmarkParseMessage(b *testing.B) {
	text := []byte(`{"event":"pusher:subscribe","data":{"auth":"app-key:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4","channel":"private-job.42"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(text); err != nil {
			b.Fatal(err)
		}
	}
}
