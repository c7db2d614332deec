package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// The opcodes of WebSocket frames that occur here (RFC 6455, section 5.2).
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// maxPayload is far more than any event of a scenario: what claims to be
// larger is not a frame.
const maxPayload = 1 << 20

// readFrame reads one unmasked frame, as servers send them, into buf, which it
// enlarges as needed.
func readFrame(r *bufio.Reader, buf []byte) (opcode byte, payload []byte, err error) {
	var header [10]byte
	if _, err := io.ReadFull(r, header[:2]); err != nil {
		return 0, buf, err
	}
	length, more := uint64(header[1]), 0
	switch {
	case header[0]&0xf0 != 0x80 || length > 127:
		return 0, buf, fmt.Errorf("the server sent a frame that begins % x: not whole, compressed or masked", header[:2])
	case length == 126:
		more = 2
	case length == 127:
		more = 8
	}
	if more > 0 {
		if _, err := io.ReadFull(r, header[10-more:]); err != nil {
			return 0, buf, err
		}
		if length = uint64(binary.BigEndian.Uint16(header[8:])); more == 8 {
			length = binary.BigEndian.Uint64(header[2:])
		}
	}
	if length > maxPayload {
		return 0, buf, fmt.Errorf("the server sent a frame of %d bytes", length)
	}
	if uint64(cap(buf)) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	_, err = io.ReadFull(r, buf)
	return header[0] & 0x0f, buf, err
}

// masked is the bit that clients set. Their mask is four zeros here, which is
// one like any other and leaves the payload as it is.
const masked = 0x80

// frame builds a whole frame; bit is masked or 0.
func frame(opcode, bit byte, payload []byte) []byte {
	b := []byte{0x80 | opcode}
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
