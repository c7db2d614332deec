package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// serveOne talks to a client, by way of a library which checks what it sends.
func serveOne(t *testing.T, options *websocket.AcceptOptions, talk func(*websocket.Conn)) way {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, options)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		talk(ws)
	}))
	t.Cleanup(server.Close)
	return way{addr: strings.TrimPrefix(server.URL, "http://")}
}

func send(t *testing.T, ws *websocket.Conn, f protocol.Frame) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, f.Payload()); err != nil {
		t.Error(err)
	}
}

func receive(t *testing.T, ws *websocket.Conn) protocol.Message {
	t.Helper()
	_, text, err := ws.Read(t.Context())
	if err != nil {
		t.Error(err)
		return protocol.Message{}
	}
	m, err := protocol.ParseMessage(text)
	if err != nil {
		t.Error(err)
	}
	return m
}

// welcome greets a client and lets it subscribe to private channels.
func welcome(t *testing.T, ws *websocket.Conn, channels ...string) {
	t.Helper()
	id, _ := protocol.ParseSocketID("12.34")
	send(t, ws, protocol.Established(id, 120))
	for _, channel := range channels {
		s, err := protocol.ParseSubscribe(receive(t, ws).Data)
		if err != nil || s.Channel != channel {
			t.Errorf("subscribed to %q, %v", s.Channel, err)
		}
		if err := auth.VerifyChannel(s.Auth, benchApp.Key, benchApp.Secret, id, channel, ""); err != nil {
			t.Error(err)
		}
		send(t, ws, protocol.SubscriptionSucceeded(channel, nil))
	}
}

// TestClient lets one arrive, gives it a load and lets it leave.
func TestClient(t *testing.T) {
	for name, mode := range map[string]websocket.CompressionMode{
		"plain": websocket.CompressionDisabled, "compressed": websocket.CompressionNoContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			channels := []string{userChannel(7), jobChannel(7)}
			events := make(chan protocol.Frame)
			w := serveOne(t, &websocket.AcceptOptions{CompressionMode: mode}, func(ws *websocket.Conn) {
				welcome(t, ws, channels...)
				send(t, ws, protocol.Ping())
				if m := receive(t, ws); m.Event != "pusher:pong" {
					t.Errorf("pusher:ping was answered with %s", m.Event)
				}
				for f := range events {
					send(t, ws, f)
				}
				for _, channel := range channels {
					if m := receive(t, ws); m.Event != "pusher:unsubscribe" || !strings.Contains(string(m.Data), channel) {
						t.Errorf("%s %s came, want the end of the subscription to %s", m.Event, m.Data, channel)
					}
				}
				if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					t.Errorf("the client ended with %v", err)
				}
			})
			w.deflate = mode != websocket.CompressionDisabled
			c, err := gather(t.Context(), arrival{way: w, clients: 1, rate: 1, channels: func(int) []string { return channels }})
			if err != nil {
				t.Fatal(err)
			}
			defer c.disperse()
			o, err := load{rate: 1000, duration: 10 * time.Millisecond, size: 2048, channels: channels[:1]}.run(
				t.Context(), c, func(_ context.Context, e event) error {
					sent := protocol.Event{Channel: e.channel, Name: eventName, Data: protocol.QuoteData(e.data())}
					events <- sent.Frame()
					return nil
				})
			close(events)
			if err != nil || len(o.latencies) != 10 || o.lost+o.duplicated+o.unordered > 0 {
				t.Errorf("%d deliveries and %+v, %v", len(o.latencies), o, err)
			}
			if plain := 10 * 2048; w.deflate == (o.bytes > plain) {
				t.Errorf("%d bytes came for %d", o.bytes, plain)
			}
			if err := c.leave(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClientIsRefused(t *testing.T) {
	notFound := httptest.NewServer(http.HandlerFunc(http.NotFound))
	defer notFound.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close() // nobody listens there
	for name, test := range map[string]struct {
		way  way
		want string
	}{
		"nobody listens": {way{addr: closed.Addr().String()}, "connection refused"},
		"no such page":   {way{addr: strings.TrimPrefix(notFound.URL, "http://")}, "404 Not Found"},
		"another message": {serveOne(t, nil, func(ws *websocket.Conn) {
			send(t, ws, protocol.Error(protocol.CloseAppNotFound, "no app"))
			_, _, _ = ws.Read(context.WithoutCancel(t.Context())) // until it goes
		}), "no app"},
		"closed at once": {serveOne(t, nil, func(ws *websocket.Conn) {
			_ = ws.Close(4001, "no app") // what the client says of it is looked at
		}), "4001 no app"},
		"no compression": {way{addr: serveOne(t, nil, func(ws *websocket.Conn) {
			_, _, _ = ws.Read(context.WithoutCancel(t.Context())) // as above
		}).addr, deflate: true}, "agreed to compress: false"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := gather(t.Context(), arrival{way: test.way, clients: 1, rate: 1})
			if err == nil {
				c.disperse()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %q, want %q in it", err, test.want)
			}
		})
	}
}

// TestFramesInPieces sends two frames byte by byte, and the others at once.
func TestFramesInPieces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := gather(t.Context(), arrival{way: way{addr: l.Addr().String(), bare: true}, clients: 1, rate: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.disperse()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var frames []byte
	publish := func(_ context.Context, e event) error {
		frame := appendFrame(nil, opText, 0, e.message())
		if e.seq >= 2 {
			frames = append(frames, frame...)
			if e.seq == 9 {
				_, err := nc.Write(frames)
				return err
			}
			return nil
		}
		for i := range frame {
			if _, err := nc.Write(frame[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	o, err := load{1000, 10 * time.Millisecond, 40_000, []string{"c"}}.run(t.Context(), c, publish)
	if err != nil || len(o.latencies) != 10 || o.lost+o.unordered+o.duplicated > 0 {
		t.Errorf("%d deliveries and %+v, %v", len(o.latencies), o, err)
	}
}
