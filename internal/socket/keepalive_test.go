package socket

import (
	"testing"
	"time"
)

// Who has answered before is not waited for once more.
func TestStoppedProcessRemembersAnswers(t *testing.T) {
	f := newTestFlusher()
	f.sweep = time.Second
	c := f.attachTest(0, &memory{})
	f.round()
	now := clock()
	f.ticked, c.pingAt = now-int64(time.Minute), now-int64(time.Hour)
	c.heard.Store(now)
	f.tick()
	if c.pingAt != 0 {
		t.Error("a client that has answered is waited for")
	}
}

// A client was pinged an hour ago. That only counts if the flusher could have heard
// its pong.
func TestStoppedProcessBlamesNobody(t *testing.T) {
	for name, stopped := range map[string]time.Duration{"running": 0, "stopped": time.Minute} {
		t.Run(name, func(t *testing.T) {
			f := newTestFlusher()
			f.sweep = time.Second
			c := f.attachTest(0, &memory{})
			f.round()
			now := clock()
			f.ticked = now - int64(stopped)
			c.pingAt = now - int64(time.Hour)
			c.heard.Store(c.pingAt - 1)
			f.tick()
			if kept := c.state == open; kept != (stopped > 0) {
				t.Errorf("kept: %t", kept)
			}
			if stopped > 0 && c.pingAt < now {
				t.Error("the time in which it was stopped counts still")
			}
		})
	}
}
