package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// client is a Pusher client that keeps to one node, comes back to it, and
// remembers what it was told. All of its methods may be called by any goroutine.
type client struct {
	name  string
	user  string
	node  *node
	watch []string // users; nil: it doesn't sign in

	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex // guards the following
	want     map[string]bool
	conn     *websocket.Conn // nil: not connected
	socketID protocol.SocketID
	life     int // counts connections
	joined   map[string]*joined
	online   map[string]bool
	signedIn bool
	errors   []string
}

// joined is a channel that the client is in.
type joined struct {
	life    int
	since   time.Time
	count   int
	members map[string]bool
	events  []string // data, as it came
}

func newClient(t testing.TB, n *node, name, user string, watch []string) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{name: name, user: user, node: n, watch: watch, cancel: cancel, ended: make(chan struct{}), want: map[string]bool{}}
	go c.run(ctx)
	t.Cleanup(c.close)
	return c
}

// close ends the client.
func (c *client) close() {
	c.cancel()
	<-c.ended
}

func (c *client) run(ctx context.Context) {
	defer close(c.ended)
	for ctx.Err() == nil {
		c.connect(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// connect is one connection, from beginning to end.
func (c *client) connect(ctx context.Context) {
	addr, _, _ := c.node.at()
	dialing, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, "ws://"+addr+"/app/"+key+"?protocol=7", nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(1 << 20)
	defer func() {
		_ = conn.CloseNow()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conn, c.joined, c.online, c.signedIn = nil, nil, nil, false
	}()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		c.hear(conn, text)
	}
}

// hear acts on a message.
func (c *client) hear(conn *websocket.Conn, text []byte) {
	var m struct {
		Event   string          `json:"event"`
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.Unmarshal(text, &m); err != nil {
		c.errors = append(c.errors, fmt.Sprintf("no JSON: %s", text))
		return
	}
	data := []byte(m.Data)
	var quoted string
	if json.Unmarshal(data, &quoted) == nil {
		data = []byte(quoted)
	}
	var d struct {
		SocketID string   `json:"socket_id"`
		UserID   string   `json:"user_id"`
		Count    int      `json:"subscription_count"`
		Presence struct { // of subscription_succeeded
			IDs []string `json:"ids"`
		} `json:"presence"`
		Events []struct { // of a watchlist
			Name    string   `json:"name"`
			UserIDs []string `json:"user_ids"`
		} `json:"events"`
	}
	if strings.HasPrefix(m.Event, "pusher") && len(data) > 0 {
		if err := json.Unmarshal(data, &d); err != nil {
			c.errors = append(c.errors, fmt.Sprintf("data of %s: %v", text, err))
		}
	}
	j := c.joined[m.Channel]
	switch m.Event {
	case "pusher:connection_established":
		c.conn, c.joined, c.online = conn, map[string]*joined{}, map[string]bool{}
		c.socketID, _ = protocol.ParseSocketID(d.SocketID)
		c.life++
		if c.watch != nil {
			c.signIn()
		}
		for channel := range c.want {
			c.subscribe(channel)
		}
	case "pusher:ping":
		_ = c.send("pusher:pong", "", map[string]any{})
	case "pusher:signin_success":
		c.signedIn = true
	case "pusher:error":
		c.errors = append(c.errors, string(text))
	case "pusher_internal:watchlist_events":
		for _, e := range d.Events {
			for _, id := range e.UserIDs {
				c.online[id] = e.Name == "online"
			}
		}
	case "pusher_internal:subscription_succeeded":
		if c.want[m.Channel] {
			j = &joined{life: c.life, since: time.Now(), members: map[string]bool{}}
			for _, id := range d.Presence.IDs {
				j.members[id] = true
			}
			c.joined[m.Channel] = j
		}
	case "pusher_internal:member_added":
		if j != nil {
			if j.members[d.UserID] {
				c.errors = append(c.errors, "a member came twice: "+string(text))
			}
			j.members[d.UserID] = true
		}
	case "pusher_internal:member_removed":
		if j != nil {
			if !j.members[d.UserID] {
				c.errors = append(c.errors, "a member left who wasn't there: "+string(text))
			}
			delete(j.members, d.UserID)
		}
	case "pusher_internal:subscription_count":
		if j != nil {
			j.count = d.Count
		}
	default:
		if j != nil {
			j.events = append(j.events, string(data))
		}
	}
}

// join has the client be in a channel, from its next connection on at the latest.
func (c *client) join(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.want[channel] {
		c.want[channel] = true
		if c.conn != nil {
			c.subscribe(channel)
		}
	}
}

// leave ends join.
func (c *client) leave(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want[channel] {
		delete(c.want, channel)
		delete(c.joined, channel)
		if c.conn != nil {
			_ = c.send("pusher:unsubscribe", "", map[string]any{"channel": channel})
		}
	}
}

// whisper sends a client event, if the client is in the channel.
func (c *client) whisper(channel, data string) (sent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joined[channel] == nil {
		return false
	}
	return c.send("client-said", channel, data) == nil
}

func (c *client) signIn() {
	data, err := json.Marshal(map[string]any{"id": c.user, "watchlist": c.watch})
	if err != nil {
		panic(err)
	}
	_ = c.send("pusher:signin", "", map[string]any{
		"auth": auth.SignUser(key, secret, c.socketID, string(data)), "user_data": string(data),
	})
}

func (c *client) subscribe(channel string) {
	d := map[string]any{"channel": channel}
	kind := protocol.KindOf(channel)
	var member string
	if kind.IsPresence() {
		member = `{"user_id":"` + c.user + `","user_info":{"name":"` + c.user + `"}}`
		d["channel_data"] = member
	}
	if kind.NeedsAuth() {
		d["auth"] = auth.SignChannel(key, secret, c.socketID, channel, member)
	}
	_ = c.send("pusher:subscribe", "", d)
}

// send needs c.mu. What the protocol wants and can't be sent is lost with the
// connection, and sent on the next one.
func (c *client) send(event, channel string, data any) error {
	m := map[string]any{"event": event, "data": data}
	if channel != "" {
		m["channel"] = channel
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if c.conn == nil {
		return errors.New("not connected")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, text)
}

// channels are those that the client is to be in.
func (c *client) channels() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.want))
}

// events are what the client has got in a channel since it joined.
func (c *client) events(channel string) (events []string, life int, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j := c.joined[channel]; j != nil {
		return slices.Clone(j.events), j.life, j.since
	}
	return nil, 0, time.Time{}
}

// settled is an error unless the client is in all of its channels.
func (c *client) settled() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return fmt.Errorf("client %s is not connected", c.name)
	}
	if c.watch != nil && !c.signedIn {
		return fmt.Errorf("client %s has not signed in", c.name)
	}
	for channel := range c.want {
		if c.joined[channel] == nil {
			return fmt.Errorf("client %s has not joined %s", c.name, channel)
		}
	}
	return nil
}
