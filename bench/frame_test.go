package main

import (
	"bytes"
	"testing"

	"broadcastd/protocol"
)

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), n)
		text := appendFrame(nil, opText, 0, payload)
		if !bytes.Equal(text, protocol.TextFrame(payload)) {
			t.Errorf("%d bytes: frame begins % x, the daemon's % x", n, text[:2], protocol.TextFrame(payload)[:2])
		}
		f, size, err := cutFrame(append(text, "more"...))
		if err != nil || size != len(text) || f.opcode != opText || f.deflated || !bytes.Equal(f.payload, payload) {
			t.Errorf("%d bytes: read back as %d bytes with opcode %d, %v", n, size, f.opcode, err)
		}
		for cut := range min(len(text), 12) {
			if _, size, err := cutFrame(text[:cut]); size != 0 || err != nil {
				t.Errorf("%d of %d bytes were taken for a frame of %d, %v", cut, len(text), size, err)
			}
		}
	}
}

func TestDeflatedFrame(t *testing.T) {
	if f, size, err := cutFrame([]byte{0xc0 | opText, 1, 'x'}); err != nil || size != 3 || !f.deflated || f.opcode != opText {
		t.Errorf("read as %+v of %d bytes, %v", f, size, err)
	}
}

func TestFramesThatServersMustNotSend(t *testing.T) {
	for name, text := range map[string][]byte{
		"masked":    appendFrame(nil, opText, masked, []byte("x")),
		"fragment":  {opText, 0},
		"reserved":  {0xa0 | opText, 0},
		"too large": {0x80 | opText, 127, 0, 0, 1, 0, 0, 0, 0, 0},
	} {
		if _, _, err := cutFrame(text); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func TestInflateRefuses(t *testing.T) {
	var i inflater
	if _, err := i.inflate([]byte("\xff\xff")); err == nil {
		t.Error("nonsense was inflated")
	}
	// One block with fixed codes, which ends with the stream's flush.
	if text, err := i.inflate([]byte{0x72, 0x04, 0x00}); err != nil || string(text) != "A" {
		t.Errorf("inflated to %q, %v", text, err)
	}
}
