package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// Client is a Pusher client that answers pings and doesn't come back. Its methods
// are for the test's goroutine; they fail the test.
type Client struct {
	Pinged chan struct{} // has a value once the daemon has pinged

	t        testing.TB
	conn     *websocket.Conn
	socketID protocol.SocketID
	messages chan Message // closed at the end

	mu     sync.Mutex
	silent bool  // guarded by mu
	err    error // why it ended; set before messages is closed
}

// Message is what a client is sent. Data is JSON text.
type Message struct{ Event, Channel, Data string }

// Connect connects a client, by a query such as "token=secret".
func (d *Daemon) Connect(query ...string) *Client {
	d.t.Helper()
	c, err := d.Dial(strings.Join(query, "&"))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// Dial is Connect that may fail, for any goroutine.
func (d *Daemon) Dial(query string) (*Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+d.Addr+"/app/"+Key+"?protocol=7&"+query, nil) //nolint:bodyclose // the library does
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(4 << 20)
	c := &Client{t: d.t, conn: conn, messages: make(chan Message, 1000), Pinged: make(chan struct{}, 1)}
	go c.read()
	d.t.Cleanup(c.Close)
	first, ok := <-c.messages
	if !ok {
		return nil, c.err
	}
	var greeting struct {
		SocketID string `json:"socket_id"`
	}
	if err := json.Unmarshal([]byte(first.Data), &greeting); err != nil || first.Event != "pusher:connection_established" {
		return nil, fmt.Errorf("the greeting is %+v", first)
	}
	id, ok := protocol.ParseSocketID(greeting.SocketID)
	if !ok {
		return nil, fmt.Errorf("the socket id is %q", greeting.SocketID)
	}
	c.socketID = id
	return c, nil
}

func (c *Client) read() {
	defer close(c.messages)
	for {
		_, text, err := c.conn.Read(context.Background())
		if err != nil {
			c.err = err
			return
		}
		var m struct {
			Event, Channel string
			Data           json.RawMessage
		}
		if err := json.Unmarshal(text, &m); err != nil {
			c.err = fmt.Errorf("no JSON: %s", text)
			return
		}
		if m.Event == "pusher:ping" {
			select {
			case c.Pinged <- struct{}{}:
			default:
			}
			c.mu.Lock()
			if !c.silent {
				_ = c.write(`{"event":"pusher:pong"}`) // reading tells
			}
			c.mu.Unlock()
			continue
		}
		data := string(m.Data)
		_ = json.Unmarshal(m.Data, &data) // an error's is an object
		c.messages <- Message{m.Event, m.Channel, data}
	}
}

func (c *Client) write(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// Silence has the client leave pings unanswered, until Pong.
func (c *Client) Silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = true
}

// Pong answers the pings.
func (c *Client) Pong() {
	c.Silence()
	c.Send(`{"event":"pusher:pong"}`)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = false
}

// Send sends a message as it is.
func (c *Client) Send(text string) {
	c.t.Helper()
	if err := c.write(text); err != nil {
		c.t.Fatalf("a client can't write: %v", err)
	}
}

// Ask asks for a channel without a signature.
func (c *Client) Ask(channel string) {
	c.t.Helper()
	c.Send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q}}`, channel))
}

// Subscribe joins channels, signed.
func (c *Client) Subscribe(channels ...string) {
	c.t.Helper()
	for _, channel := range channels {
		c.Send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q,"auth":%q}}`,
			channel, auth.SignChannel(Key, Secret, c.socketID, channel, "")))
		c.WantJoined(channel)
	}
}

// WantJoined waits for the answer to Ask.
func (c *Client) WantJoined(channel string) {
	c.t.Helper()
	if m := c.Next(); m.Event != "pusher_internal:subscription_succeeded" || m.Channel != channel {
		c.t.Fatalf("got %+v, want to be in %s", m, channel)
	}
}

// WantRefused waits for the answer to Ask, which has this status.
func (c *Client) WantRefused(channel string, status int) {
	c.t.Helper()
	m := c.Next()
	var data struct{ Status int }
	if err := json.Unmarshal([]byte(m.Data), &data); err != nil || m.Event != "pusher:subscription_error" || m.Channel != channel || data.Status != status {
		c.t.Fatalf("got %+v, want %s to be refused with %d", m, channel, status)
	}
}

// Want waits for an event.
func (c *Client) Want(channel, event, data string) {
	c.t.Helper()
	if m := c.Next(); m != (Message{event, channel, data}) {
		c.t.Fatalf("got %+v, want %s on %s with %s", m, event, channel, data)
	}
}

// Next waits for a message.
func (c *Client) Next() Message {
	c.t.Helper()
	select {
	case m, ok := <-c.messages:
		if !ok {
			c.t.Fatalf("the connection ended: %v", c.err)
		}
		return m
	case <-time.After(patience):
		c.t.Fatal("no message came")
	}
	panic("unreachable")
}

// Nothing fails if a message has come.
func (c *Client) Nothing() {
	c.t.Helper()
	select {
	case m, ok := <-c.messages:
		c.t.Fatalf("got %+v (open: %t, %v), want nothing", m, ok, c.err)
	default:
	}
}

// WantEnd waits until the daemon has closed the connection, with this code.
func (c *Client) WantEnd(code int) {
	c.t.Helper()
	for end := time.After(patience); ; {
		select {
		case _, ok := <-c.messages:
			if ok {
				continue
			}
			if got := int(websocket.CloseStatus(c.err)); got != code {
				c.t.Fatalf("the connection ended with %v, want %d", c.err, code)
			}
			return
		case <-end:
			c.t.Fatal("the connection doesn't end")
		}
	}
}

// Close ends the connection.
func (c *Client) Close() { _ = c.conn.CloseNow() }
