package socket

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"broadcastd/protocol"
)

// TestOutbox writes random frames through kernels that take random amounts,
// and expects every byte in order.
func TestOutbox(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var spare [][]protocol.Frame
	scratch := make([]byte, 0, 64)
	for range 200 {
		var o outbox
		var sent, got []byte
		for range 100 {
			for range rnd.IntN(4) {
				frame := make(protocol.Frame, 1+rnd.IntN(90))
				for i := range frame {
					frame[i] = byte(rnd.IntN(256))
				}
				o.push(frame, &spare)
				sent = append(sent, frame...)
			}
			if o.empty() {
				continue
			}
			head := o.head(scratch)
			n := rnd.IntN(len(head) + 1)
			got = append(got, head[:n]...)
			o.taken(n, &spare)
			if want := len(sent) - len(got); o.size != want {
				t.Fatalf("size is %d, want %d", o.size, want)
			}
		}
		for !o.empty() {
			head := o.head(scratch)
			got = append(got, head...)
			o.taken(len(head), &spare)
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("what came out is not what went in")
		}
		if o.frames != nil || o.size != 0 || o.written != 0 {
			t.Fatalf("an empty outbox holds %+v", o)
		}
	}
	for _, frames := range spare {
		for _, f := range frames[:cap(frames)] {
			if f != nil {
				t.Fatal("a spare slice keeps a frame alive")
			}
		}
	}
}

func TestOutboxDropQueued(t *testing.T) {
	var spare [][]protocol.Frame
	a, b := protocol.Frame("aaaa"), protocol.Frame("bbbb")

	var o outbox
	o.push(a, &spare)
	o.push(b, &spare)
	o.dropQueued(&spare)
	if !o.empty() || o.size != 0 {
		t.Errorf("nothing was written, but %d bytes stay", o.size)
	}

	o.push(a, &spare)
	o.push(b, &spare)
	o.taken(1, &spare)
	o.dropQueued(&spare)
	if got := string(o.head(nil)); got != "aaa" || o.size != 3 {
		t.Errorf("%q of %d bytes stays, want the rest of the frame that was begun", got, o.size)
	}
}
