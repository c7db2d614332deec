package socket

import "broadcastd/protocol"

// outbox is what waits to be written to one connection. An empty one holds no
// memory: the slice goes back to the flusher that owns it.
type outbox struct {
	frames  []protocol.Frame
	written int // bytes of frames[0] that the kernel has taken
	size    int // bytes still to be written
}

func (o *outbox) empty() bool { return len(o.frames) == 0 }

// queued is how many bytes wait behind the first frame.
func (o *outbox) queued() int { return o.size - (len(o.frames[0]) - o.written) }

// push adds a frame. spare provides the memory for a first one.
func (o *outbox) push(f protocol.Frame, spare *[][]protocol.Frame) {
	if o.frames == nil {
		if n := len(*spare); n > 0 {
			o.frames = (*spare)[n-1]
			*spare = (*spare)[:n-1]
		} else {
			o.frames = make([]protocol.Frame, 0, 4)
		}
	}
	o.frames = append(o.frames, f)
	o.size += len(f)
}

// head returns bytes to be written next: those of the only frame itself, or
// as many as fit into buf.
func (o *outbox) head(buf []byte) []byte {
	first := o.frames[0][o.written:]
	if len(o.frames) == 1 || len(first) > cap(buf) {
		return first
	}
	buf = append(buf[:0], first...)
	for _, f := range o.frames[1:] {
		if len(buf)+len(f) > cap(buf) {
			break
		}
		buf = append(buf, f...)
	}
	return buf
}

// taken drops n bytes that the kernel took from the head.
func (o *outbox) taken(n int, spare *[][]protocol.Frame) {
	o.size -= n
	done := 0
	for done < len(o.frames) && n >= len(o.frames[done])-o.written {
		n -= len(o.frames[done]) - o.written
		o.written = 0
		done++
	}
	o.written += n
	if done == len(o.frames) {
		o.release(spare)
		return
	}
	if done > 0 {
		kept := copy(o.frames, o.frames[done:])
		clear(o.frames[kept:])
		o.frames = o.frames[:kept]
	}
}

// dropQueued drops every frame of which nothing was written yet.
func (o *outbox) dropQueued(spare *[][]protocol.Frame) {
	if o.empty() {
		return
	}
	if o.written == 0 {
		o.release(spare)
		return
	}
	clear(o.frames[1:])
	o.frames = o.frames[:1]
	o.size = len(o.frames[0]) - o.written
}

// maxSpare and maxSpareCap bound what a flusher keeps for later: memory that a
// burst needed must not stay.
const (
	maxSpare    = 16384
	maxSpareCap = 64
)

func (o *outbox) release(spare *[][]protocol.Frame) {
	if o.frames != nil && cap(o.frames) <= maxSpareCap && len(*spare) < maxSpare {
		clear(o.frames)
		*spare = append(*spare, o.frames[:0])
	}
	*o = outbox{}
}
