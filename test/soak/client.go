package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// silence is app.activity_timeout; a client that hears nothing for so long pings, and
// goes when nothing comes for as long again.
const silence = 20 * time.Second

// The ways clients get their rights.
const (
	signs     = iota // a signature of the application's
	asksNode         // the daemon's /broadcasting/auth, which asks the API
	hasToken         // the daemon asks the API, with the connection's token
	allManner        // how many there are
)

// client is one that does what pusher-js does, and remembers what came. Its methods
// may be called by any goroutine.
type client struct {
	s      *soak
	group  *group
	name   string
	user   string
	manner int
	random *rand.Rand // of its own goroutine

	mu       sync.Mutex // guards the following
	present  bool       // it wants to be connected
	wants    map[string]*want
	allWants []*want
	conn     *websocket.Conn // nil: not connected
	node     *node           // that it is connected to
	socketID string
	life     int
	heard    moment
	stays    map[string]*stay
	allStays []*stay
	asked    map[string]moment
	marks    []mark
	received int // events, and who came and went, that came on all connections
	lives    int // connections that were established
	ends     map[string]int
}

// run lets the client come and go until ctx ends.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.s.churn.RLock()
		c.come()
		c.s.churn.RUnlock()
		session, end := context.WithCancel(ctx)
		var connected sync.WaitGroup
		connected.Go(func() { c.stayConnected(session) })
		c.behave(ctx, func() {
			c.leaveAll()
			end()
			connected.Wait()
		})
		end()
		connected.Wait()
		sleep(ctx, time.Duration(1+c.random.IntN(8))*time.Second)
	}
	c.leaveAll()
}

func (c *client) come() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.present = true
	for range 2 + c.random.IntN(5) {
		c.join(c.group.channels[c.random.IntN(len(c.group.channels))])
	}
}

func (c *client) leaveAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.present = false
	for channel := range c.wants {
		c.leave(channel)
	}
}

// behave does things now and then, the last of which is to go.
func (c *client) behave(ctx context.Context, leave func()) {
	for {
		sleep(ctx, time.Duration(4+c.random.IntN(16))*time.Second)
		if ctx.Err() != nil {
			return
		}
		if c.random.IntN(2) == 0 {
			c.s.load.RLock()
			c.whisper()
			c.s.load.RUnlock()
			continue
		}
		c.s.churn.RLock()
		gone := c.random.IntN(6) == 0
		if gone {
			leave()
		} else {
			c.mu.Lock()
			channel := c.group.channels[c.random.IntN(len(c.group.channels))]
			if c.wants[channel] == nil {
				c.join(channel)
			} else {
				c.leave(channel)
			}
			c.mu.Unlock()
		}
		c.s.churn.RUnlock()
		if gone {
			return
		}
	}
}

// stayConnected reconnects as pusher-js does, until ctx ends.
func (c *client) stayConnected(ctx context.Context) {
	for ctx.Err() == nil {
		switch code := c.connect(ctx); {
		case code >= 4000 && code < 4100:
			c.s.violate("client %s was told never to come back: %d", c.name, code)
			return
		case code >= 4200 && code < 4300: // at once
		default:
			sleep(ctx, time.Second)
		}
	}
}

// connect is one connection, from beginning to end, to any node that there is, as a
// load balancer would find one.
func (c *client) connect(ctx context.Context) websocket.StatusCode {
	conn, n, v := c.dial(ctx)
	if conn == nil {
		return -1
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	c.mu.Lock()
	c.life++
	c.heard = c.s.now()
	c.mu.Unlock()
	alive, end := context.WithCancel(ctx)
	defer end()
	go c.keepAlive(alive, conn)
	var err error
	for err == nil {
		var text []byte
		if _, text, err = conn.Read(ctx); err == nil {
			c.hear(conn, n, v, text)
		}
	}
	code := websocket.CloseStatus(err)
	_, _, run := n.at()
	why := "it went"
	switch {
	case ctx.Err() != nil:
	case n.down(v.run, run) && code < 0:
		why = "its node was killed"
	case code == 4200:
		why = "it was closed with 4200"
	default:
		why = "it was cut off"
		c.s.violate("client %s was cut off by node %s at %s: %v. Around: %s", c.name, n.name, clock(c.s.now()), err, c.s.around(c.s.now()))
	}
	c.lost(v, why)
	return code
}

// down: the run is over.
func (n *node) down(was, is int) bool {
	addr, _, _ := n.at()
	return addr == "" || was != is
}

func (c *client) dial(ctx context.Context) (*websocket.Conn, *node, *visit) {
	for _, i := range rand.Perm(len(c.group.nodes)) {
		n := c.group.nodes[i]
		addr, _, run := n.at()
		if addr == "" {
			continue
		}
		v := c.s.journal.visit(n, run, c.s.now())
		dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
		to := "ws://" + addr + "/app/" + key + "?protocol=7&client=js&version=8.4.0"
		if c.manner == hasToken {
			to += "&token=" + c.user
		}
		conn, _, err := websocket.Dial(dialing, to, nil) //nolint:bodyclose // a handshake's response has none
		cancel()
		if err == nil {
			return conn, n, v
		}
	}
	return nil, nil, nil
}

// lost notes the end of a connection.
func (c *client) lost(v *visit, why string) {
	now := c.s.now()
	c.s.journal.note(func() { v.ended = now })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.stays {
		c.over(st, now, why)
	}
	for channel := range c.wants {
		c.marks = append(c.marks, mark{channel, now, why})
	}
	c.conn, c.node, c.stays = nil, nil, map[string]*stay{}
	c.life++
	c.ends[why]++
}

// over needs c.mu.
func (c *client) over(st *stay, at moment, why string) {
	st.until, st.end = at, why
	delete(c.stays, st.channel)
}

// keepAlive pings after silence, and gives up when that helps nothing.
func (c *client) keepAlive(ctx context.Context, conn *websocket.Conn) {
	for ctx.Err() == nil {
		sleep(ctx, 5*time.Second)
		c.mu.Lock()
		quiet := c.s.now() - c.heard
		if quiet > silence && c.conn == conn {
			_ = c.send("pusher:ping", "", map[string]any{})
		}
		c.mu.Unlock()
		if quiet > 2*silence {
			_ = conn.CloseNow()
			return
		}
	}
}

type message struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// hear acts on a message.
func (c *client) hear(conn *websocket.Conn, n *node, v *visit, text []byte) {
	now := c.s.now()
	var m message
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = now
	if err := json.Unmarshal(text, &m); err != nil {
		c.s.violate("client %s got what is no JSON: %.300s", c.name, text)
		return
	}
	body := []byte(m.Data)
	var quoted string
	if json.Unmarshal(body, &quoted) == nil {
		body = []byte(quoted)
	}
	var d struct {
		ID       *int32 `json:"id"` // ours
		SocketID string `json:"socket_id"`
		UserID   string `json:"user_id"`
		Code     int    `json:"code"`
		Presence struct {
			IDs []string `json:"ids"`
		} `json:"presence"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &d); err != nil {
			c.s.violate("client %s got data that is not what was sent: %.300s", c.name, text)
			return
		}
	}
	st := c.stays[m.Channel]
	switch m.Event {
	case "pusher:connection_established":
		c.s.journal.note(func() { v.established = now })
		c.lives++
		c.conn, c.node, c.socketID, c.stays, c.asked = conn, n, d.SocketID, map[string]*stay{}, map[string]moment{}
		for channel := range c.wants {
			c.subscribe(channel)
		}
	case "pusher:ping":
		_ = c.send("pusher:pong", "", map[string]any{})
	case "pusher:pong", "pusher_internal:subscription_count":
	case "pusher:error":
		if d.Code != 4200 && d.Code != 4100 { // what a close frame says too
			c.s.violate("client %s got an error: %s", c.name, text)
		}
	case "pusher:subscription_error":
		c.refused(m.Channel, "authorisation was refused")
	case "pusher:cache_miss":
		if st != nil {
			st.fresh = false
		}
	case "pusher_internal:subscription_succeeded":
		if c.wants[m.Channel] == nil || st != nil {
			return // it has left meanwhile
		}
		st = &stay{channel: m.Channel, node: n, life: c.life, asked: c.asked[m.Channel], since: now, until: never, fresh: isCache(m.Channel), members: map[string]bool{}}
		for _, id := range d.Presence.IDs {
			st.members[id] = true
		}
		c.stays[m.Channel] = st
		c.allStays = append(c.allStays, st)
	case "pusher_internal:member_added", "pusher_internal:member_removed":
		c.received++
		if st == nil {
			return
		}
		if added := m.Event == "pusher_internal:member_added"; st.members[d.UserID] == added {
			c.s.violate("client %s on node %s, at %s, was told %s, of whom it knew that: %s", c.name, n.name, clock(now), m.Event, text)
		} else if added {
			st.members[d.UserID] = true
		} else {
			delete(st.members, d.UserID)
		}
	default:
		c.received++
		if d.ID == nil {
			c.s.violate("client %s got what nobody published: %.300s", c.name, text)
		} else if st != nil {
			st.got = append(st.got, receipt{*d.ID, st.fresh, now})
			st.fresh = false
		}
	}
}

// join needs c.mu, as all of the following.
func (c *client) join(channel string) {
	if c.wants[channel] != nil {
		return
	}
	w := &want{channel: channel, from: c.s.now(), until: never}
	c.wants[channel] = w
	c.allWants = append(c.allWants, w)
	if c.conn != nil {
		c.subscribe(channel)
	}
}

func (c *client) leave(channel string) {
	now := c.s.now()
	c.wants[channel].until = now
	delete(c.wants, channel)
	if st := c.stays[channel]; st != nil {
		c.over(st, now, "it left")
	}
	if c.conn != nil && c.present {
		_ = c.send("pusher:unsubscribe", "", map[string]any{"channel": channel})
	}
}

func (c *client) subscribe(channel string) {
	c.asked[channel] = c.s.now()
	d := map[string]any{"channel": channel}
	switch {
	case !needsAuth(channel) || c.manner == hasToken:
	case c.manner == asksNode:
		addr, _, _ := c.node.at()
		go c.authorise(addr, c.socketID, channel, c.life)
		return
	default:
		member := ""
		if isPresence(channel) {
			member = memberOf(c.user)
			d["channel_data"] = member
		}
		d["auth"] = signChannel(c.socketID, channel, member)
	}
	_ = c.send("pusher:subscribe", "", d)
}

// authorise asks the daemon for a signature, and subscribes with it. It doesn't need
// c.mu.
func (c *client) authorise(addr, socketID, channel string, life int) {
	form := url.Values{"socket_id": {socketID}, "channel_name": {channel}}
	var d map[string]any
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/broadcasting/auth", strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+c.user)
		var res *http.Response
		if res, err = patient.Do(req); err == nil {
			if res.StatusCode != http.StatusOK {
				err = errors.New(res.Status)
			} else {
				err = json.NewDecoder(res.Body).Decode(&d)
			}
			res.Body.Close()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life != life || c.wants[channel] == nil {
		return
	}
	if err != nil {
		c.refused(channel, "authorisation was refused")
		return
	}
	d["channel"] = channel
	_ = c.send("pusher:subscribe", "", d)
}

// patient waits as long as auth.max_wait and auth.timeout may take.
var patient = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}

// refused has the client try again after a while, as an application might.
func (c *client) refused(channel, why string) {
	if c.wants[channel] == nil {
		return
	}
	c.marks = append(c.marks, mark{channel, c.s.now(), why})
	life := c.life
	time.AfterFunc(time.Duration(2000+rand.IntN(2000))*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.life == life && c.conn != nil && c.wants[channel] != nil && c.stays[channel] == nil {
			c.subscribe(channel)
		}
	})
}

// whisper says something in a channel where that is allowed. It doesn't need c.mu.
func (c *client) whisper() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for channel := range c.stays {
		if !needsAuth(channel) {
			continue
		}
		_, _, run := c.node.at()
		e := &event{group: c.group, source: byClient, publisher: c.name, channels: []string{channel}, node: c.node, run: run, sender: c, life: c.life, began: c.s.now()}
		c.s.journal.publish(e)
		if c.send("client-said", channel, json.RawMessage(data(e, c.random))) == nil {
			c.s.journal.answer(e, c.s.now(), accepted)
		}
		return
	}
}

// send: what can't be sent is lost with the connection, and done anew on the next one.
func (c *client) send(event, channel string, data any) error {
	m := map[string]any{"event": event, "data": data}
	if channel != "" {
		m["channel"] = channel
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if c.conn == nil {
		return net.ErrClosed
	}
	return c.conn.Write(ctx, websocket.MessageText, text)
}

// settled is an error unless the client is where it wants to be.
func (c *client) settled(m model) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present != (c.conn != nil) {
		return fmt.Errorf("client %s should be connected: %t", c.name, c.present)
	}
	for channel := range c.wants {
		st := c.stays[channel]
		if st == nil {
			return fmt.Errorf("client %s on node %s isn't in %s", c.name, c.node.name, channel)
		}
		if isPresence(channel) {
			if members := m.members[channel]; !equal(st.members, members) {
				return fmt.Errorf("client %s on node %s, members of %s: %s", c.name, c.node.name, channel, differ(st.members, members))
			}
		}
	}
	return nil
}
