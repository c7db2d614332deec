// Package logqueue stands between a log and what takes it, so that nobody who logs
// waits for a pipe that isn't read, and a disk that is full stops nothing.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxWaiting bounds the lines that wait, in bytes.
const maxWaiting = 1 << 20

// Writer takes whole lines and never waits. What it has no room for, and what its
// output refuses, is dropped and counted. Its methods may be called concurrently.
type Writer struct {
	out  io.Writer
	told func(lines int64, err error)
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards the following
	waiting []byte
	closed  bool
	dropped int64 // lines
	untold  int64 // of these, those that told hasn't heard of
	err     error // of the last write; nil: it worked
}

// New starts a Writer that writes to out. Once out works again after lines were
// dropped, told hears how many, and of the last error, if there was one; it may log.
// The caller ends with Close.
func New(out io.Writer, told func(lines int64, err error)) *Writer {
	w := &Writer{out: out, told: told, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write keeps a copy of a line. It has no error: who logs can't do anything about it.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.waiting)+len(line) > maxWaiting {
		w.drop(line)
		return len(line), nil
	}
	w.waiting = append(w.waiting, line...)
	w.rouse()
	return len(line), nil
}

// Dropped counts the lines that were dropped.
func (w *Writer) Dropped() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Untold is how many of them told hasn't heard of: nothing was written since.
func (w *Writer) Untold() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.untold
}

// Close writes what waits, for so long at most. What is logged later is dropped. A
// second time it does nothing.
func (w *Writer) Close(within time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.rouse()
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(within):
	}
}

func (w *Writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// drop needs w.mu.
func (w *Writer) drop(lines []byte) {
	n := int64(max(bytes.Count(lines, []byte("\n")), 1))
	w.dropped += n
	w.untold += n
}

func (w *Writer) run() {
	defer close(w.done)
	var writing []byte
	for range w.wake {
		for {
			w.mu.Lock()
			writing, w.waiting = w.waiting, writing[:0]
			closed := w.closed
			w.mu.Unlock()
			if len(writing) == 0 {
				if closed {
					return
				}
				break
			}
			w.write(writing)
		}
	}
}

// write writes lines, and tells of those that were dropped before.
func (w *Writer) write(lines []byte) {
	n, err := w.out.Write(lines)
	w.mu.Lock()
	lost, why := w.untold, w.err
	if err != nil {
		w.drop(lines[n:])
		w.err = err
	} else {
		w.untold, w.err = 0, nil
	}
	w.mu.Unlock()
	if err == nil && lost > 0 {
		w.told(lost, why)
	}
}
