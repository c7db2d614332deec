package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"broadcastd/protocol"
)

// TestOrder publishes to a channel from many sides at once. Its subscribers,
// wherever they are, see one order, in which each side's events are in the
// order that they were published in.
func TestOrder(t *testing.T) {
	t.Parallel()
	const publishers, events, subscribers = 4, 500, 6
	d := start(t)
	var clients []*client
	for range subscribers {
		c := d.connect(t)
		c.subscribe("jobs")
		clients = append(clients, c)
	}
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := range events {
				e := protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(fmt.Sprintf(`"[%d,%d]"`, p, i))}
				if err := d.Publish("redis", appID, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var first []string
	for _, c := range clients {
		var seen []string
		var next [publishers]int
		for range publishers * events {
			var at [2]int
			data := c.next().text(t)
			if err := json.Unmarshal([]byte(data), &at); err != nil {
				t.Fatal(err)
			}
			if at[1] != next[at[0]] {
				t.Fatalf("publisher %d's event %d came when %d was due", at[0], at[1], next[at[0]])
			}
			next[at[0]]++
			seen = append(seen, data)
		}
		c.fence()
		if first == nil {
			first = seen
		}
		if !slices.Equal(first, seen) {
			t.Fatal("two subscribers saw different orders")
		}
	}
	publishing.Wait()
}

// TestEdges subscribes and unsubscribes while events come in: none is seen
// before subscription_succeeded, none after leaving, none is missing between.
func TestEdges(t *testing.T) {
	t.Parallel()
	d := start(t)
	quit := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
			}
			e := protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(fmt.Sprintf(`"%d"`, i))}
			if err := d.Publish("redis", appID, e); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Microsecond) // slower than the client reads
		}
	})
	defer publishing.Wait()
	defer close(quit)

	c := d.connect(t)
	for range 50 {
		c.subscribe("jobs")
		last := c.nextNumber()
		for range 20 {
			n := c.nextNumber()
			if n != last+1 {
				t.Fatalf("event %d after %d", n, last)
			}
			last = n
		}
		c.unsubscribe("jobs")
		c.send(`{"event":"pusher:ping"}`)
		for m := c.next(); m.Event != "pusher:pong"; m = c.next() {
			if m.Event != "e" {
				t.Fatalf("message %+v", m)
			}
		}
		c.fence()
	}
}

func (c *client) nextNumber() (n int) {
	c.t.Helper()
	m := c.next()
	if err := json.Unmarshal([]byte(m.text(c.t)), &n); err != nil || m.Event != "e" {
		c.t.Fatalf("message %+v: %v", m, err)
	}
	return n
}

// TestNothingAfterClose ends connections in each way while events come in: the
// close frame is the last that a client gets.
func TestNothingAfterClose(t *testing.T) {
	t.Parallel()
	d := start(t)
	quit := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
			}
			if err := d.Publish("redis", appID, protocol.Event{Channel: "jobs", Name: "e", Data: json.RawMessage(`"{}"`)}); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Microsecond) // slower than the client reads
		}
	})
	defer publishing.Wait()
	defer close(quit)
	for name, last := range map[string][]byte{
		"client closes":      closeFrame(1000, ""),
		"ended by library":   frame(fin|0x40|opText, ""),
		"ended by us":        frame(fin|opBinary, ""),
		"unmasked":           header(fin|opText, 0, 0),
		"too large by a lot": text(string(make([]byte, 200<<10))),
	} {
		t.Run(name, func(t *testing.T) {
			for range 30 {
				c := d.connect(t)
				c.subscribe("jobs")
				c.write(last)
				op, _, err := c.read()
				for ; op == opText && err == nil; op, _, err = c.read() {
				}
				if err != nil || op != opClose {
					t.Fatalf("opcode %#x, %v, want a close frame", op, err)
				}
				if op, payload, err := c.read(); !errors.Is(err, io.EOF) {
					t.Fatalf("after the close frame: opcode %#x %q, %v", op, payload, err)
				}
				_ = c.nc.Close()
			}
		})
	}
}
