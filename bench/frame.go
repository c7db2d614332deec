package main

import (
	"encoding/binary"
	"fmt"
)

// The opcodes of WebSocket frames that occur here (RFC 6455, section 5.2).
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// maxPayload is more than any event of a scenario: what claims to be larger is
// not a frame.
const maxPayload = 128 << 10

// wsFrame is a whole message from the daemon.
type wsFrame struct {
	opcode   byte
	deflated bool // RSV1
	payload  []byte
}

// cutFrame finds the unmasked frame that b begins with, as servers send them,
// and its size on the wire, 0 if there is only a part of it yet. The payload
// is a part of b.
func cutFrame(b []byte) (f wsFrame, size int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	const fin, rsv1, opcode = 0x80, 0x40, 0x0f
	header, length := 2, uint64(b[1])
	switch {
	case b[0]&^(rsv1|opcode) != fin || length > 127:
		return f, 0, fmt.Errorf("the server sent a frame that begins % x: not whole, or masked", b[:2])
	case length == 126:
		header = 4
	case length == 127:
		header = 10
	}
	if len(b) < header {
		return f, 0, nil
	}
	switch header {
	case 4:
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		length = binary.BigEndian.Uint64(b[2:])
	}
	if length > maxPayload {
		return f, 0, fmt.Errorf("the server sent a frame of %d bytes", length)
	}
	size = header + int(length)
	if len(b) < size {
		return f, 0, nil
	}
	return wsFrame{b[0] & opcode, b[0]&rsv1 != 0, b[header:size]}, size, nil
}

// masked is the bit that clients set. Their mask is four zeros here, which is
// one like any other and leaves the payload as it is.
const masked = 0x80

// appendFrame appends a whole frame; bit is masked or 0.
func appendFrame(b []byte, opcode, bit byte, payload []byte) []byte {
	b = append(b, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		b = append(b, bit|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
	if bit == masked {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, payload...)
}
