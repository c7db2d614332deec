package logqueue

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 20 * time.Second

// output is a pipe whose reader is told when to read, or a disk that is full.
type output struct {
	gate chan struct{} // closed: it takes everything

	mu   sync.Mutex // guards the following
	err  error
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	<-o.gate
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	return o.text.Write(p)
}

func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func open() chan struct{} {
	gate := make(chan struct{})
	close(gate)
	return gate
}

func TestEverythingIsWrittenInOrder(t *testing.T) {
	t.Parallel()
	o := &output{gate: open()}
	w := New(o, nil)
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		_, _ = w.Write([]byte(line))
	}
	w.Close(patience)
	w.Close(patience)
	if got := o.String(); got != want.String() {
		t.Errorf("got %d bytes, want %d", len(got), want.Len())
	}
	if n := w.Dropped(); n != 0 {
		t.Errorf("%d lines were dropped", n)
	}
}

func TestNobodyWaitsForAReader(t *testing.T) {
	t.Parallel()
	o := &output{gate: make(chan struct{})}
	told := make(chan int64, 1)
	w := New(o, func(lines int64, _ error) { told <- lines })
	const lines = 3000
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range lines {
		_, _ = w.Write(line)
	}
	w.Close(time.Millisecond) // has nothing to wait for
	lost := w.Dropped()
	if lost < lines-2*maxWaiting/1024 || lost >= lines {
		t.Errorf("%d of %d lines were dropped, want what is above %d KiB or twice that", lost, lines, maxWaiting>>10)
	}
	close(o.gate)
	if n := <-told; n != lost {
		t.Errorf("told of %d lines, want %d", n, lost)
	}
	<-w.done
	if got := int64(strings.Count(o.String(), "\n")); got != lines-lost {
		t.Errorf("%d lines were written, want %d", got, lines-lost)
	}
}

func TestAFullDiskIsToldOfOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	o := &output{gate: open()}
	full := errors.New("no space left on device")
	o.fail(full)
	type loss struct {
		lines int64
		err   error
	}
	told := make(chan loss, 1)
	w := New(o, func(lines int64, err error) { told <- loss{lines, err} })
	_, _ = w.Write([]byte("one\n"))
	for deadline := time.Now().Add(patience); w.Dropped() < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the line is not counted")
		}
	}
	o.fail(nil)
	_, _ = w.Write([]byte("two\n"))
	if got := <-told; got.lines != 1 || !errors.Is(got.err, full) {
		t.Errorf("told of %+v", got)
	}
	w.Close(patience)
	if got := o.String(); got != "two\n" {
		t.Errorf("written was %q", got)
	}
}
