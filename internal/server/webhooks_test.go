package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/auth"
	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/internal/webhook"
	"broadcastd/protocol"
)

const (
	hookKey    = "hook-key"
	hookSecret = "hook-secret-0123456789"
	// hookPatience is how long a test waits for what has to come.
	hookPatience = 20 * time.Second
)

// hookReceiver is where an app's webhooks arrive.
type hookReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []string      // guarded by mu: each as JSON, its members sorted
	more   chan struct{} // a token when events have come
}

func newHookReceiver(t *testing.T) *hookReceiver {
	t.Helper()
	r := &hookReceiver{more: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(hookSecret))
		mac.Write(body)
		if req.Header.Get("X-Pusher-Key") != hookKey || req.Header.Get("X-Pusher-Signature") != hex.EncodeToString(mac.Sum(nil)) ||
			req.Header.Get("Content-Type") != "application/json" || req.Header.Get("X-Shop") != "yes" {
			t.Errorf("a request that no library would accept: %v %s", req.Header, body)
		}
		var content struct {
			Events []map[string]any `json:"events"`
		}
		if err := json.Unmarshal(body, &content); err != nil {
			t.Errorf("body %s: %v", body, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range content.Events {
			text, err := json.Marshal(e)
			if err != nil {
				t.Error(err)
			}
			r.events = append(r.events, string(text))
		}
		select {
		case r.more <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// wait waits until the events received, in order, begin with want.
func (r *hookReceiver) wait(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.After(hookPatience)
	for {
		r.mu.Lock()
		got := slices.Clone(r.events)
		r.mu.Unlock()
		if len(got) >= len(want) {
			if !slices.Equal(got, want) {
				t.Fatalf("received\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
			}
			return
		}
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("received only\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
		}
	}
}

func hookConfig(hooks ...config.Webhook) config.Config {
	c := config.Default()
	c.Host, c.Port, c.Admin.Listen = "127.0.0.1", 0, ""
	c.App.ID, c.App.Key, c.App.Secret = "1", hookKey, hookSecret
	c.App.SubscriptionCount = true
	c.App.Webhooks = hooks
	return c
}

// hookServer starts a server; it ends with stop, or with the test.
func hookServer(t *testing.T, c config.Config) (srv *server.Server, stop func() error) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Options{Config: c, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	stop = sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), hookPatience)
		defer cancel()
		err := srv.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		return err
	})
	t.Cleanup(func() { _ = stop() })
	return srv, stop
}

// hookClient is a client; what it is sent doesn't matter, but for the end of
// the connection and its socket id.
type hookClient struct {
	t    *testing.T
	conn *websocket.Conn
	id   protocol.SocketID
}

func hookConnect(t *testing.T, srv *server.Server) *hookClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hookPatience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+srv.Addr().String()+"/app/"+hookKey+"?protocol=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var greeting struct{ Data string }
	var data struct {
		SocketID string `json:"socket_id"`
	}
	if err := json.Unmarshal(text, &greeting); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(greeting.Data), &data); err != nil {
		t.Fatal(err)
	}
	id, ok := protocol.ParseSocketID(data.SocketID)
	if !ok {
		t.Fatalf("socket id %q", data.SocketID)
	}
	c := &hookClient{t: t, conn: conn, id: id}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { c.close(); <-read })
	return c
}

func (c *hookClient) close() { _ = c.conn.CloseNow() }

func (c *hookClient) send(event, channel string, data any) {
	c.t.Helper()
	text, err := json.Marshal(map[string]any{"event": event, "channel": channel, "data": data})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), hookPatience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *hookClient) join(channel, channelData string) {
	c.t.Helper()
	c.send("pusher:subscribe", "", map[string]string{
		"channel": channel, "channel_data": channelData,
		"auth": auth.SignChannel(hookKey, hookSecret, c.id, channel, channelData),
	})
}

func (c *hookClient) leave(channel string) {
	c.t.Helper()
	c.send("pusher:unsubscribe", "", map[string]string{"channel": channel})
}

func TestWebhooks(t *testing.T) {
	receiver, whispers := newHookReceiver(t), newHookReceiver(t)
	shop := map[string]string{"X-Shop": "yes"}
	srv, stop := hookServer(t, hookConfig(
		config.Webhook{URL: receiver.URL, Headers: shop},
		config.Webhook{URL: whispers.URL, Headers: shop, Events: []string{webhook.ClientEvent}, ChannelPrefix: "presence-", ChannelSuffix: "om"},
	))
	ann, bob := hookConnect(t, srv), hookConnect(t, srv)
	var want []string
	step := func(events ...string) {
		t.Helper()
		want = append(want, events...)
		receiver.wait(t, want...)
	}

	ann.join("private-cache-job", "")
	step(`{"channel":"private-cache-job","name":"channel_occupied"}`,
		`{"channel":"private-cache-job","name":"cache_miss"}`,
		`{"channel":"private-cache-job","name":"subscription_count","subscription_count":1}`)
	ann.join("presence-room", `{"user_id":7}`)
	step(`{"channel":"presence-room","name":"channel_occupied"}`,
		`{"channel":"presence-room","name":"member_added","user_id":"7"}`)
	bob.join("presence-room", `{"user_id":"8"}`)
	step(`{"channel":"presence-room","name":"member_added","user_id":"8"}`)

	ann.send("client-typing", "private-cache-job", map[string]int{"a": 1})
	step(`{"channel":"private-cache-job","data":"{\"a\":1}","event":"client-typing","name":"client_event","socket_id":"` + ann.id.String() + `"}`)
	whisper := `{"channel":"presence-room","data":"hi","event":"client-hi","name":"client_event","socket_id":"` + bob.id.String() + `","user_id":"8"}`
	bob.send("client-hi", "presence-room", "hi")
	step(whisper)

	// Ann is back at once, on the same connection, and nobody is told.
	ann.leave("presence-room")
	ann.join("presence-room", `{"user_id":7}`)
	bob.leave("presence-room")
	step(`{"channel":"presence-room","name":"member_removed","user_id":"8"}`)
	if err := stop(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	whispers.wait(t, whisper)
}

// TestWebhooksAtShutdown: that the channels are vacated is told before the end.
func TestWebhooksAtShutdown(t *testing.T) {
	receiver := newHookReceiver(t)
	srv, stop := hookServer(t, hookConfig(config.Webhook{
		URL: receiver.URL, Headers: map[string]string{"X-Shop": "yes"},
		Events: []string{webhook.ChannelOccupied, webhook.ChannelVacated, webhook.MemberRemoved},
	}))
	ann := hookConnect(t, srv)
	ann.join("presence-room", `{"user_id":"7"}`)
	receiver.wait(t, `{"channel":"presence-room","name":"channel_occupied"}`)
	if err := stop(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	receiver.wait(t, `{"channel":"presence-room","name":"channel_occupied"}`,
		`{"channel":"presence-room","name":"member_removed","user_id":"7"}`,
		`{"channel":"presence-room","name":"channel_vacated"}`)
}

// TestWebhookNames: the configuration accepts what there is.
func TestWebhookNames(t *testing.T) {
	c := hookConfig(config.Webhook{URL: "http://127.0.0.1:9", Events: webhook.Names()})
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
