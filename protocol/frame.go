package protocol

import (
	"encoding/binary"
	"strings"
)

// Frame is a WebSocket frame, or several in a row, ready to be written:
// header included, unmasked as servers send them. It is shared by all its
// receivers, so nobody may change it.
type Frame []byte

// WebSocket opcodes with the FIN bit set (RFC 6455, section 5.2).
const (
	finText  = 0x81
	finClose = 0x88
	finPing  = 0x89
	finPong  = 0x8a
)

// maxHeader is the room that startFrame leaves for the header of an unmasked
// frame: 2 bytes and up to 8 of length.
const maxHeader = 10

// startFrame begins a text frame whose payload will have about size bytes.
func startFrame(size int) []byte {
	return make([]byte, maxHeader, maxHeader+size)
}

// finishFrame puts the header in front of the payload that follows the room
// left by startFrame.
func finishFrame(b []byte) Frame {
	n := len(b) - maxHeader
	switch {
	case n < 126:
		b = b[maxHeader-2:]
		b[1] = byte(n)
	case n <= 0xffff:
		b = b[maxHeader-4:]
		b[1] = 126
		binary.BigEndian.PutUint16(b[2:], uint16(n))
	default:
		b[1] = 127
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	}
	b[0] = finText
	return b
}

// TextFrame wraps a message.
func TextFrame(message []byte) Frame {
	return finishFrame(append(startFrame(len(message)), message...))
}

// PingFrame is the WebSocket's own ping, which every client library answers
// by itself.
func PingFrame() Frame { return Frame{finPing, 0} }

// PongFrame answers a client's ping with what it carried, at most 125 bytes.
func PongFrame(payload []byte) Frame { return controlFrame(finPong, payload) }

// EchoCloseFrame answers a client's close frame with what it carried, at most
// 125 bytes.
func EchoCloseFrame(payload []byte) Frame { return controlFrame(finClose, payload) }

func controlFrame(first byte, payload []byte) Frame {
	return append(append(make([]byte, 0, 2+len(payload)), first, byte(len(payload))), payload...)
}

// CloseFrame ends a connection with a code and a reason; the reason is cut to
// what a control frame holds, 123 bytes.
func CloseFrame(code CloseCode, reason string) Frame {
	if len(reason) > 123 {
		reason = strings.ToValidUTF8(reason[:123], "") // not within a character
	}
	b := make([]byte, 4, 4+len(reason))
	b[0] = finClose
	b[1] = byte(2 + len(reason))
	binary.BigEndian.PutUint16(b[2:], uint16(code))
	return append(b, reason...)
}

// IsClose reports whether f is a close frame.
func (f Frame) IsClose() bool { return len(f) > 0 && f[0] == finClose }

// Payload is the text message of a frame made by this package, inflated for
// debug output if need be; nil for a control frame.
func (f Frame) Payload() []byte {
	switch {
	case len(f) > 2 && f[0] == finText|rsv1:
		plain := append(Frame{finText}, f[1:]...)
		message, _ := Inflate(nil, plain.Payload(), 1<<30) // it is our own
		return message
	case len(f) < 2 || f[0] != finText:
		return nil
	case f[1] < 126:
		return f[2:]
	case f[1] == 126:
		return f[4:]
	}
	return f[10:]
}
