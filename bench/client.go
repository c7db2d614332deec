package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// patience bounds whatever a client waits for while nothing is measured.
const patience = 30 * time.Second

// client is one connection as a browser has it. Its methods are for one
// goroutine at a time.
type client struct {
	nc       net.Conn
	r        *bufio.Reader
	buf      []byte // of the message read last
	socketID string
}

// dial connects to an app and returns once pusher:connection_established has
// come.
func dial(ctx context.Context, addr, key string) (*client, error) {
	c, err := dialRaw(ctx, addr)
	if err != nil {
		return nil, err
	}
	if err := c.greet(addr, key); err != nil {
		_ = c.nc.Close() // the error is known
		return nil, fmt.Errorf("connecting to the daemon: %w", err)
	}
	return c, nil
}

// dialRaw connects to where frames come without a handshake.
func dialRaw(ctx context.Context, addr string) (*client, error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{nc: nc, r: bufio.NewReader(nc)}, nil
}

func (c *client) greet(addr, key string) error {
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.nc, "GET /app/%s?protocol=7&client=bench&version=1 HTTP/1.1\r\nHost: %s\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIGxvYWQgY2xpZW50IQ==\r\n\r\n", key, addr)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	_ = response.Body.Close() // an upgrade has none
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered with %s", response.Status)
	}
	var data struct {
		SocketID string `json:"socket_id"`
	}
	if err := c.await("pusher:connection_established", &data); err != nil {
		return err
	}
	c.socketID = data.SocketID
	return c.nc.SetDeadline(time.Time{})
}

// await reads the next message, which must be the named one, and its data.
func (c *client) await(event string, data any) error {
	text, err := c.read()
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", event, err)
	}
	var m struct {
		Event, Data string
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Event != event {
		return fmt.Errorf("waiting for %s: %.200q came", event, text)
	}
	return json.Unmarshal([]byte(m.Data), data)
}

// subscribe returns once the channel's subscription_succeeded has come; no
// other message may come before.
func (c *client) subscribe(a app, channel string) error {
	data := map[string]string{"channel": channel}
	if strings.HasPrefix(channel, "private-") {
		data["auth"] = a.Key + ":" + a.sign(c.socketID+":"+channel)
	}
	if err := c.say("pusher:subscribe", data); err != nil {
		return err
	}
	var nothing struct{}
	return c.await("pusher_internal:subscription_succeeded", &nothing)
}

func (c *client) unsubscribe(channel string) error {
	return c.say("pusher:unsubscribe", map[string]string{"channel": channel})
}

func (c *client) say(event string, data map[string]string) error {
	text, err := json.Marshal(map[string]any{"event": event, "data": data})
	if err != nil {
		return err
	}
	_, err = c.nc.Write(frame(opText, masked, text))
	return err
}

// errClosed is how a connection ends that the server closed properly.
var errClosed = errors.New("the server closed the connection")

// read returns the next message, which is valid until the next call. Pings are
// answered on the way.
func (c *client) read() ([]byte, error) {
	for {
		opcode, payload, err := readFrame(c.r, c.buf)
		c.buf = payload
		switch {
		case err != nil:
			return nil, err
		case opcode == opText && string(payload) == `{"event":"pusher:ping","data":{}}`:
			if err := c.say("pusher:pong", nil); err != nil {
				return nil, err
			}
		case opcode == opText:
			return payload, nil
		case opcode == opPing:
			if _, err := c.nc.Write(frame(opPong, masked, payload)); err != nil {
				return nil, err
			}
		case opcode == opClose && len(payload) >= 2:
			return nil, fmt.Errorf("%w: %d %s", errClosed, binary.BigEndian.Uint16(payload), payload[2:])
		case opcode == opClose:
			return nil, errClosed
		}
	}
}

// leave closes as a browser does: a close frame, the server's answer, the end.
func (c *client) leave() error {
	defer c.nc.Close()
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	normal := binary.BigEndian.AppendUint16(nil, 1000)
	if _, err := c.nc.Write(frame(opClose, masked, normal)); err != nil {
		return fmt.Errorf("leaving: %w", err)
	}
	for {
		if _, err := c.read(); errors.Is(err, errClosed) || errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("leaving: %w", err)
		}
	}
}
