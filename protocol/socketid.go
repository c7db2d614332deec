package protocol

import (
	"strconv"
	"strings"
)

// maxIDPart bounds both numbers of a socket id that this server gives out, as
// in Reverb.
const maxIDPart = 1_000_000_000

// SocketID names a connection: two numbers, written "123.456". It is packed
// so that a fan-out compares one word. Zero is nobody.
type SocketID uint64

// NewSocketID makes an id of 64 random bits, some 60 of which survive. That two
// of a million connections share one has a chance of 1 in 2 million.
func NewSocketID(random uint64) SocketID {
	hi := random>>32%maxIDPart + 1
	lo := random&0xffffffff%maxIDPart + 1
	return SocketID(hi<<32 | lo)
}

// ParseSocketID reads an id as clients and APIs send it. Text of the right
// form that this server cannot have given out is nobody's id: 0 and true.
// ok is false for anything but digits, a dot, digits.
func ParseSocketID(s string) (id SocketID, ok bool) {
	left, right, found := strings.Cut(s, ".")
	if !found || !digits(left) || !digits(right) {
		return 0, false
	}
	hi, errHi := strconv.ParseUint(left, 10, 32)
	lo, errLo := strconv.ParseUint(right, 10, 32)
	id = SocketID(hi<<32 | lo)
	if errHi != nil || errLo != nil || id.String() != s {
		return 0, true
	}
	return id, true
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// String is the id as the protocol writes it.
func (id SocketID) String() string {
	var b [21]byte
	return string(id.append(b[:0]))
}

func (id SocketID) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(id>>32), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(id&0xffffffff), 10)
}
