package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"unicode/utf8"

	"broadcastd/protocol"
)

// input is what has come of a message that isn't complete.
type input struct {
	rest     []byte // of a frame
	message  []byte // of earlier frames of the message
	begun    bool   // there are earlier frames
	deflated bool   // the message is compressed
}

// receive takes what came from the client, in whatever pieces, and handles all
// messages that are complete. It may change b and doesn't keep it.
func (c *Conn) receive(b []byte) {
	if c.deaf {
		return
	}
	if c.in != nil && len(c.in.rest) > 0 {
		c.in.rest = append(c.in.rest, b...)
		b = c.in.rest
	}
	for len(b) > 0 {
		h, reason := parseHeader(b)
		if reason == nil {
			reason = c.admits(h)
		}
		if reason != nil {
			c.refuse(reason)
			return
		}
		if h.size == 0 || len(b)-h.size < h.length {
			break
		}
		payload := b[h.size : h.size+h.length]
		b = b[h.size+h.length:]
		unmask(payload, h.mask)
		if reason := c.frame(h, payload); reason != nil {
			c.refuse(reason)
			return
		}
		if c.deaf {
			return
		}
	}
	c.keep(b)
}

// keep remembers the beginning of a frame.
func (c *Conn) keep(rest []byte) {
	switch {
	case c.in == nil && len(rest) == 0:
	case c.in == nil:
		c.in = &input{rest: bytes.Clone(rest)}
	case len(rest) == 0 && !c.in.begun:
		c.in = nil
	case len(rest) == 0:
		c.in.rest = nil
	case len(rest) == len(c.in.rest): // it has grown, and is still incomplete
	default:
		c.in.rest = append(c.in.rest[:0], rest...)
	}
}

// refuse ends the connection of a client that breaks the protocol. What it
// still sends is read, since a socket that is closed with unread bytes would
// lose the close frame, but thrown away.
func (c *Conn) refuse(reason *Reason) {
	c.deaf, c.in = true, nil
	c.Close(reason)
}

// opcodes (RFC 6455, section 5.2).
const (
	opcodeContinuation = 0x0
	opcodeText         = 0x1
	opcodeBinary       = 0x2
	opcodeClose        = 0x8
	opcodePing         = 0x9
	opcodePong         = 0xa
)

// header is that of a client's frame (RFC 6455, section 5.2).
type header struct {
	fin      bool
	deflated bool // begins a compressed message
	opcode   byte
	size     int // bytes of the header; 0: more must come
	length   int // bytes of the payload
	mask     [4]byte
}

func (h header) isControl() bool { return h.opcode >= opcodeClose }

// parseHeader reads a header and checks what doesn't depend on other frames.
func parseHeader(b []byte) (header, *Reason) {
	if len(b) < 2 {
		return header{}, nil
	}
	h := header{fin: b[0]&0x80 != 0, deflated: b[0]&0x40 != 0, opcode: b[0] & 0xf}
	short := int(b[1] & 0x7f)
	switch {
	case b[0]&0x30 != 0: // extensions that don't exist
		return h, ReasonProtocol
	case b[1]&0x80 == 0:
		return h, ReasonUnmasked
	case h.opcode > opcodeBinary && h.opcode < opcodeClose, h.opcode > opcodePong:
		return h, ReasonProtocol
	case h.isControl() && (!h.fin || short > 125):
		return h, ReasonProtocol
	}
	extended := 0
	switch short {
	case 126:
		extended = 2
	case 127:
		extended = 8
	}
	if len(b) < 2+extended+4 {
		return h, nil
	}
	switch extended {
	case 0:
		h.length = short
	case 2:
		h.length = int(binary.BigEndian.Uint16(b[2:]))
	case 8:
		n := binary.BigEndian.Uint64(b[2:])
		if n>>63 != 0 {
			return h, ReasonUnmasked
		}
		h.length = int(min(n, math.MaxInt)) // too much, also where int has 32 bits
	}
	h.size = 2 + extended + 4
	copy(h.mask[:], b[2+extended:])
	return h, nil
}

// admits checks a header against what came before it, so that a frame that
// can't be taken isn't waited for. One that isn't complete passes.
func (c *Conn) admits(h header) *Reason {
	switch {
	case h.size == 0:
		return nil
	case h.deflated && (!c.deflates || h.opcode != opcodeText && h.opcode != opcodeBinary):
		return ReasonProtocol
	case h.isControl():
		return nil
	}
	begun, had := false, 0
	if c.in != nil {
		begun, had = c.in.begun, len(c.in.message)
	}
	switch {
	case begun != (h.opcode == opcodeContinuation):
		return ReasonProtocol
	case h.opcode == opcodeBinary:
		return ReasonBinary
	case h.length > c.limits.MaxMessageSize-had:
		return ReasonTooBig
	}
	return nil
}

// unmask undoes a client's masking (RFC 6455, section 5.3).
func unmask(b []byte, mask [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(mask[:]))
	word |= word << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= mask[i%4]
	}
}

// frame handles a complete frame.
func (c *Conn) frame(h header, payload []byte) *Reason {
	switch h.opcode {
	case opcodeClose:
		return c.farewell(payload)
	case opcodePing:
		c.flusher.waitToRead() // a flood of pings is read later, too
		c.Send(protocol.PongFrame(payload))
		return nil
	case opcodePong:
		return nil
	}
	if h.fin && (c.in == nil || !c.in.begun) {
		return c.message(payload, h.deflated)
	}
	if c.in == nil {
		c.in = &input{}
	}
	if !c.in.begun {
		c.in.begun, c.in.deflated = true, h.deflated
	}
	c.in.message = append(c.in.message, payload...)
	if !h.fin {
		return nil
	}
	message := c.in.message
	c.in.message, c.in.begun = nil, false
	return c.message(message, c.in.deflated)
}

// inflated are buffers for messages that came compressed.
var inflated = sync.Pool{New: func() any { return new([]byte) }}

// maxInflated is the largest buffer that is kept, in bytes.
const maxInflated = 64 << 10

func (c *Conn) message(text []byte, deflated bool) *Reason {
	if !deflated {
		return c.handle(text)
	}
	buf := inflated.Get().(*[]byte)
	text, err := protocol.Inflate(*buf, text, c.limits.MaxMessageSize)
	switch {
	case errors.Is(err, protocol.ErrInflatedTooLarge):
		return ReasonTooBig
	case err != nil:
		return ReasonDeflate
	}
	reason := c.handle(text)
	if cap(text) <= maxInflated {
		*buf = text
	}
	inflated.Put(buf)
	return reason
}

func (c *Conn) handle(text []byte) *Reason {
	if !utf8.Valid(text) {
		return ReasonUTF8
	}
	c.flusher.waitToRead()
	if !c.Done() {
		c.handler.Message(text)
	}
	return nil
}

// farewell answers a close frame with the same (RFC 6455, section 5.5.1).
func (c *Conn) farewell(payload []byte) *Reason {
	if len(payload) > 0 && !validClose(payload) {
		return ReasonProtocol
	}
	c.deaf, c.in = true, nil
	c.ended.CompareAndSwap(nil, ReasonClient)
	c.Send(protocol.EchoCloseFrame(payload))
	return nil
}

// validClose tells whether a close frame's payload is one that a client may
// send (RFC 6455, section 7.4).
func validClose(payload []byte) bool {
	if len(payload) < 2 || !utf8.Valid(payload[2:]) {
		return false
	}
	switch code := binary.BigEndian.Uint16(payload); {
	case code >= 1000 && code <= 1014:
		return code != 1004 && code != 1005 && code != 1006
	default:
		return code >= 3000 && code <= 4999
	}
}
