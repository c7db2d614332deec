package protocol

import (
	stdflate "compress/flate"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Why a compressed message can't be read.
var (
	ErrInflatedTooLarge = errors.New("message is too large when inflated")
	ErrNotDeflated      = errors.New("message is not valid DEFLATE data")
)

// minDeflate is the size from which messages are compressed, in bytes. From
// there, a Laravel application's events lose a fifth and more
// (BenchmarkDeflate); below, it is little beside a packet's headers.
const minDeflate = 256

// rsv1 marks a compressed message (RFC 7692, section 6).
const rsv1 = 0x40

// Shared is a frame for many receivers.
type Shared struct {
	Frame
	// Deflated is for those that agreed to compression. Nil: they get Frame.
	Deflated Frame
}

// For is the form for a receiver that agreed to compression, or didn't.
func (s *Shared) For(deflates bool) Frame {
	if deflates && s.Deflated != nil {
		return s.Deflated
	}
	return s.Frame
}

// Deflate is the same message as one compressed frame, for all receivers that
// agreed to permessage-deflate without context takeover: it refers to no message
// before it. f is a single text frame made by this package. The result is nil
// when compression doesn't pay, since the message is short or wouldn't get
// smaller; f is then for these receivers too.
func (f Frame) Deflate() Frame {
	message := f.Payload()
	if len(message) < minDeflate {
		return nil
	}
	// Stateless is less thorough, and touches less memory: between two events a
	// compressor's tables leave the processor's caches.
	w := appender(startFrame(len(message) / 2))
	if err := flate.StatelessDeflate(&w, message, false, nil); err != nil {
		return nil // an appender has no errors
	}
	out := finishFrame(w[:len(w)-len(flushed)])
	if len(out) >= len(f) {
		return nil
	}
	out[0] |= rsv1
	return out
}

// appender is a frame that a compressor writes to.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

const (
	// flushed ends what a compressor flushes; senders leave it out and
	// receivers add it (RFC 7692, section 7.2).
	flushed = "\x00\x00\xff\xff"
	// final is an empty last block, at which a decompressor is content.
	final = "\x01\x00\x00\xff\xff"
)

// Inflate puts the message whose compressed frames had this payload into dst,
// from its beginning, or into a larger buffer of at most limit bytes. It fails
// with [ErrInflatedTooLarge] as soon as the message exceeds the limit, and with
// [ErrNotDeflated] if the data is broken or refers to an earlier message.
func Inflate(dst, payload []byte, limit int) ([]byte, error) {
	r := inflaters.Get().(*inflater)
	r.payload, r.tail = payload, flushed+final
	message, err := r.inflate(dst[:0], limit)
	r.payload, r.tail = nil, ""
	inflaters.Put(r)
	return message, err
}

var inflaters = sync.Pool{New: func() any {
	return &inflater{stream: stdflate.NewReader(nil)}
}}

// inflater decompresses one message at a time. What clients send is left to
// the standard library's decompressor, which reads from the inflater itself.
type inflater struct {
	stream  io.ReadCloser // a stdflate.Resetter too
	payload []byte        // what is left to read of the message
	tail    string        // what is left to read of what follows it
	extra   [1]byte       // room for the byte that is too much
}

// inflate goes on after a block that is marked as final: within a message, a
// sender may begin anew (RFC 7692, section 7.2.3.4).
func (r *inflater) inflate(dst []byte, limit int) ([]byte, error) {
	for len(r.payload) > 0 {
		if err := r.stream.(stdflate.Resetter).Reset(r, nil); err != nil {
			return nil, ErrNotDeflated
		}
		var err error
		if dst, err = r.blocks(dst, limit); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// blocks appends the blocks up to a final one.
func (r *inflater) blocks(dst []byte, limit int) ([]byte, error) {
	for {
		var n int
		var err error
		if len(dst) < limit {
			dst = grow(dst, len(r.payload), limit)
			n, err = r.stream.Read(dst[len(dst):min(cap(dst), limit)])
			dst = dst[:len(dst)+n]
		} else if n, err = r.stream.Read(r.extra[:]); n > 0 {
			return nil, ErrInflatedTooLarge
		}
		switch {
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return nil, ErrNotDeflated
		}
	}
}

// grow makes room for at least one more byte, but not for more than limit.
func grow(dst []byte, deflated, limit int) []byte {
	if len(dst) < cap(dst) {
		return dst
	}
	size := min(max(2*cap(dst), 4*deflated, 512), limit)
	return append(make([]byte, 0, size), dst...)
}

// Read and ReadByte give the decompressor the payload and what senders leave
// out. With ReadByte it takes no byte more than it needs, so that the payload's
// rest is known at a final block.
func (r *inflater) Read(p []byte) (int, error) {
	if n := copy(p, r.payload); n > 0 {
		r.payload = r.payload[n:]
		return n, nil
	}
	if r.tail == "" {
		return 0, io.EOF
	}
	n := copy(p, r.tail)
	r.tail = r.tail[n:]
	return n, nil
}

func (r *inflater) ReadByte() (byte, error) {
	var b [1]byte
	_, err := r.Read(b[:])
	return b[0], err
}
