package restart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const channel = "news"

// client is a Pusher client that stays: told to reconnect with 4200, it does so at
// once, as pusher-js does. It remembers what it got.
type client struct {
	addr string

	mu    sync.Mutex // guards the following
	lives []*life
	in    bool // subscribed
	wrong []string
}

// life is one subscription.
type life struct {
	since time.Time // when it was confirmed
	until time.Time // when it was closed; zero: it isn't
	got   []int
}

// crowd are many of them.
type crowd []*client

// connect has so many clients come and stay until the test ends.
func connect(t testing.TB, n int, addr string) crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	crowd := make(crowd, n)
	for i := range crowd {
		crowd[i] = &client{addr: addr}
		all.Go(func() {
			for ctx.Err() == nil && crowd[i].live(ctx) {
			}
		})
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	crowd.settle(t, 1)
	return crowd
}

// settle waits until each client has subscribed so often, and is subscribed.
func (c crowd) settle(t testing.TB, lives int) {
	t.Helper()
	eventually(t, "waiting for the clients to be there", func() error {
		missing := 0
		for _, one := range c {
			had, in, wrong := one.state()
			if len(wrong) > 0 {
				t.Fatalf("a client was treated badly: %q", wrong)
			}
			if len(had) < lives || !in {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d are missing", missing)
		}
		return nil
	})
}

// hear waits until each client has got an event.
func (c crowd) hear(t testing.TB, number int) {
	t.Helper()
	eventually(t, fmt.Sprintf("waiting for event %d to reach all", number), func() error {
		missing := 0
		for _, one := range c {
			lives, _, _ := one.state()
			if last := lives[len(lives)-1].got; len(last) == 0 || last[len(last)-1] < number {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d lack it", missing)
		}
		return nil
	})
}

// state is a copy of what the client remembers.
func (c *client) state() (lives []life, in bool, wrong []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lives {
		lives = append(lives, *l)
	}
	return lives, c.in, slices.Clone(c.wrong)
}

// live is one connection. It reports whether the client shall come back.
func (c *client) live(ctx context.Context) bool {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, "ws://"+c.addr+"/app/"+key+"?protocol=7", nil)
	if err != nil {
		return c.complain(ctx, "connecting: "+err.Error())
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			c.leave()
			if websocket.CloseStatus(err) == 4200 {
				return true
			}
			return c.complain(ctx, "reading: "+err.Error())
		}
		if err := c.hear(ctx, conn, text); err != nil {
			return c.complain(ctx, err.Error())
		}
	}
}

// complain notes what must not be, unless the test is over.
func (c *client) complain(ctx context.Context, text string) bool {
	if ctx.Err() == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrong = append(c.wrong, text)
	}
	return false
}

func (c *client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in {
		c.in = false
		c.lives[len(c.lives)-1].until = time.Now()
	}
}

func (c *client) hear(ctx context.Context, conn *websocket.Conn, text []byte) error {
	var m struct{ Event, Data string }
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Event {
	case "pusher:connection_established":
		return conn.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:subscribe","data":{"channel":"`+channel+`"}}`))
	case "pusher_internal:subscription_succeeded":
		c.lives = append(c.lives, &life{since: time.Now()})
		c.in = true
		return nil
	case "tick":
		var data struct{ Number int }
		if err := json.Unmarshal([]byte(m.Data), &data); err != nil {
			return err
		}
		last := c.lives[len(c.lives)-1]
		last.got = append(last.got, data.Number)
		return nil
	}
	return errors.New("not expected: " + string(text))
}

// newcomers connect to addr one after the other, until stop, which tells how many
// did and which errors there were.
func newcomers(t testing.TB, addr string) (stop func() (int, []error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n, errs := 0, []error(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := visit(addr); err != nil {
				errs = append(errs, err)
			}
			n++
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return func() (int, []error) { cancel(); <-ended; return n, errs }
}

// visit connects and waits to be greeted, or to be told to come again.
func visit(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+"/app/"+key+"?protocol=7", nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	if _, _, err = conn.Read(ctx); websocket.CloseStatus(err) == 4200 {
		return nil
	}
	return err
}

// listen binds a port, on which nobody accepts.
func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}
