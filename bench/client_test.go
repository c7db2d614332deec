package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"broadcastd/auth"
	"broadcastd/protocol"
)

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), n)
		text := frame(opText, 0, payload)
		if !bytes.Equal(text, protocol.TextFrame(payload)) {
			t.Errorf("%d bytes: frame begins % x, the daemon's % x", n, text[:2], protocol.TextFrame(payload)[:2])
		}
		opcode, got, err := readFrame(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil || opcode != opText || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: read back as opcode %d of %d bytes, %v", n, opcode, len(got), err)
		}
	}
}

func TestFramesThatServersMustNotSend(t *testing.T) {
	for name, text := range map[string][]byte{
		"masked":     frame(opText, masked, []byte("x")),
		"fragment":   {opText, 0},
		"compressed": {0xc0 | opText, 0},
		"too large":  {0x80 | opText, 127, 0, 0, 1, 0, 0, 0, 0, 0},
		"cut off":    frame(opText, 0, []byte("xyz"))[:4],
	} {
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(text)), nil); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

// TestClient talks to a server made of another library, which checks what the
// client sends.
func TestClient(t *testing.T) {
	id, _ := protocol.ParseSocketID("12.34")
	const channel = "private-user.7"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		send := func(f protocol.Frame) {
			if err := ws.Write(r.Context(), websocket.MessageText, f.Payload()); err != nil {
				t.Error(err)
			}
		}
		receive := func() protocol.Message {
			_, text, err := ws.Read(r.Context())
			if err != nil {
				t.Error(err)
			}
			m, err := protocol.ParseMessage(text)
			if err != nil {
				t.Error(err)
			}
			return m
		}
		send(protocol.Established(id, 120))
		s, err := protocol.ParseSubscribe(receive().Data)
		if err != nil || s.Channel != channel {
			t.Errorf("subscribed to %q, %v", s.Channel, err)
		}
		if err := auth.VerifyChannel(s.Auth, benchApp.Key, benchApp.Secret, id, channel, ""); err != nil {
			t.Error(err)
		}
		send(protocol.SubscriptionSucceeded(channel, nil))
		send(protocol.Ping())
		if m := receive(); m.Event != "pusher:pong" {
			t.Errorf("pusher:ping was answered with %s", m.Event)
		}
		send(protocol.TextFrame([]byte(`{"event":"done"}`)))
		if _, _, err := ws.Read(r.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Errorf("the client ended with %v", err)
		}
	}))
	defer server.Close()

	c, err := dial(t.Context(), strings.TrimPrefix(server.URL, "http://"), benchApp.Key)
	if err != nil {
		t.Fatal(err)
	}
	if c.socketID != id.String() {
		t.Errorf("socket id %q, want %q", c.socketID, id)
	}
	if err := c.subscribe(benchApp, channel); err != nil {
		t.Fatal(err)
	}
	if text, err := c.read(); err != nil || string(text) != `{"event":"done"}` {
		t.Errorf("read %q, %v", text, err)
	}
	if err := c.leave(); err != nil {
		t.Error(err)
	}
}

func TestClientIsRefused(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no such page": http.NotFound,
		"another message": func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer ws.CloseNow()
			_ = ws.Write(r.Context(), websocket.MessageText, protocol.Error(protocol.CloseAppNotFound, "no app").Payload()) // the client may be gone
			_, _, _ = ws.Read(context.WithoutCancel(r.Context()))                                                           // until it goes
		},
		"closed at once": func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			_ = ws.Close(4001, "no app") // what the client says of it is looked at
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			_, err := dial(t.Context(), strings.TrimPrefix(server.URL, "http://"), benchApp.Key)
			if err == nil {
				t.Fatal("connected")
			}
			if name == "closed at once" && (!errors.Is(err, errClosed) || !strings.Contains(err.Error(), "4001 no app")) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
