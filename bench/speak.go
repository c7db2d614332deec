package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// understand handles messages of the protocol itself.
func (c *client) understand(text []byte, now time.Time) error {
	var m struct {
		Event string
		Data  json.RawMessage
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("the message %.200q is not JSON: %w", text, err)
	}
	switch {
	case m.Event == "pusher:ping":
		return c.say("pusher:pong", nil)
	case m.Event == "pusher:connection_established" && c.stage == greeted:
		c.established = now.Sub(c.began)
		return c.greet(m.Data)
	case m.Event == "pusher_internal:subscription_succeeded" && c.stage == joining:
		if c.joined++; c.joined == len(c.channels) {
			c.subscribed = now.Sub(c.began)
			c.arrive()
		}
	case m.Event == "pusher:pong" && c.stage == parting:
		c.arrive()
	case m.Event == "pusher_internal:member_added", m.Event == "pusher_internal:member_removed":
	case strings.HasPrefix(m.Event, "pusher"):
		return fmt.Errorf("unexpected message %.200q", text)
	}
	return nil
}

// greet learns the socket id and subscribes. established is the data of the
// server's greeting: a string of JSON.
func (c *client) greet(established []byte) error {
	var text string
	var data struct {
		SocketID string `json:"socket_id"`
	}
	if err := json.Unmarshal(established, &text); err != nil {
		return fmt.Errorf("the greeting's data is %.200q: %w", established, err)
	}
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return fmt.Errorf("the greeting's data is %.200q: %w", text, err)
	}
	c.id = data.SocketID
	if len(c.channels) == 0 {
		c.arrive()
		return nil
	}
	return c.join()
}

// join subscribes to all channels with one write. In presence channels a client
// is a member of its own.
func (c *client) join() error {
	c.stage, c.joined = joining, 0
	var b []byte
	for _, channel := range c.channels {
		d := map[string]string{"channel": channel}
		signed := c.id + ":" + channel
		switch {
		case strings.HasPrefix(channel, "presence-"):
			d["channel_data"] = fmt.Sprintf(`{"user_id":"%s","user_info":{"name":"%s"}}`, c.id, memberName)
			signed += ":" + d["channel_data"]
			fallthrough
		case strings.HasPrefix(channel, "private-") && !c.way.asks:
			d["auth"] = benchApp.Key + ":" + benchApp.sign(signed)
		}
		b = appendFrame(b, opText, masked, message("pusher:subscribe", d))
	}
	return c.sock.write(b)
}

// memberName makes what is told of a member 40 bytes long.
const memberName = "Ada Lovelace of London, maths"

// part unsubscribes from all channels. Nothing answers to that, but what follows
// it is answered after it.
func (c *client) part() error {
	c.stage = parting
	if err := c.unsubscribe(); err != nil {
		return err
	}
	return c.say("pusher:ping", nil)
}

func (c *client) unsubscribe() error {
	for _, channel := range c.channels {
		if err := c.say("pusher:unsubscribe", map[string]string{"channel": channel}); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) arrive() {
	c.stage = open
	c.settle(nil)
}

// leave closes as a browser does: perhaps it unsubscribes, then a close frame,
// the server's answer, the end.
func (c *client) leave(unsubscribe bool) error {
	c.stage = leaving
	if unsubscribe {
		if err := c.unsubscribe(); err != nil {
			return err
		}
	}
	return c.send(opClose, binary.BigEndian.AppendUint16(nil, 1000))
}

func (c *client) say(event string, data map[string]string) error {
	return c.send(opText, message(event, data))
}

func (c *client) send(opcode byte, payload []byte) error {
	return c.sock.write(appendFrame(nil, opcode, masked, payload))
}

func message(event string, data map[string]string) []byte {
	text, _ := json.Marshal(map[string]any{"event": event, "data": data}) // strings always can
	return text
}
