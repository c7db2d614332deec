package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"broadcastd/protocol"
)

// caching starts an API that counts its calls, and what asks it with a cache.
func caching(t *testing.T, handler http.HandlerFunc) (*asker, *atomic.Int32) {
	t.Helper()
	calls := new(atomic.Int32)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		handler(w, r)
	})
	return newAsker(t, server.URL, func(c *APIConfig) { c.Cache = time.Hour }), calls
}

// signs answers as Laravel's pusher and reverb drivers do, for the connection
// that asks.
func signs(t *testing.T, channelData, sharedSecret string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		id, _ := protocol.ParseSocketID(r.PostForm.Get("socket_id"))
		answer(w, http.StatusOK, fmt.Sprintf(`{"auth":%q,"channel_data":%q,"shared_secret":%q}`,
			SignChannel(appKey, appSecret, id, r.PostForm.Get("channel_name"), channelData), channelData, sharedSecret))
	}
}

// TestCacheGrants asks twice for each form of a yes, by two connections: the second
// is not asked about, and its signature is its own.
func TestCacheGrants(t *testing.T) {
	member := `{"user_id":"7","user_info":{"name":"Ann"}}`
	for name, test := range map[string]struct {
		channel string
		api     http.HandlerFunc
		want    Grant // without Auth
	}{
		"true":             {channel, replies("true"), Grant{}},
		"a member":         {"presence-room.5", replies(`{"channel_data":{"user_id":7,"user_info":{"name":"Ann"}}}`), Grant{ChannelData: member}},
		"signed":           {channel, signs(t, "", ""), Grant{}},
		"signed, a member": {"presence-room.5", signs(t, member, ""), Grant{ChannelData: member}},
		"encrypted":        {"private-encrypted-a", signs(t, "", "c2hhcmVk"), Grant{SharedSecret: "c2hhcmVk"}},
	} {
		a, calls := caching(t, test.api)
		for _, id := range []string{"1.2", "3.4"} {
			got, err := a.Authorize(t.Context(), app, Request{SocketID: socketID(t, id), Channel: test.channel, Header: http.Header{"Authorization": {token}}})
			want := test.want
			want.Auth = SignChannel(appKey, appSecret, socketID(t, id), test.channel, want.ChannelData)
			if err != nil || got != want {
				t.Errorf("%s, connection %s: %+v, %v; want %+v", name, id, got, err, want)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%s: %d calls, want 1", name, n)
		}
	}
}

// TestCacheTellsApart: what differs in anything that the API sees is asked about.
func TestCacheTellsApart(t *testing.T) {
	a, calls := caching(t, replies("true"))
	other := Credentials{Key: "other", Secret: appSecret}
	asked := int32(0)
	for _, test := range []struct {
		app     Credentials
		channel string
		header  http.Header
		asks    bool
	}{
		{app, channel, http.Header{"Authorization": {token}}, true},
		{app, channel, http.Header{"Authorization": {token}}, false},
		{app, channel, http.Header{"Authorization": {token}, "X-Other": {"not shown"}}, false},
		{app, channel, http.Header{"Authorization": {token + "x"}}, true},
		{app, channel, http.Header{"Cookie": {token}}, true},
		{app, channel, http.Header{"Authorization": {token}, "Cookie": {"a"}}, true},
		{app, channel, http.Header{"Authorization": {token}, "X-Csrf-Token": {"a"}}, true},
		{app, channel, http.Header{"Cookie": {"a", "b"}}, true},
		{app, channel, http.Header{"Cookie": {"ab"}}, true},
		{app, channel, http.Header{"Cookie": {"a"}, "X-Csrf-Token": {"b"}}, true},
		{app, channel + "3", http.Header{"Authorization": {token}}, true},
		{other, channel, http.Header{"Authorization": {token}}, true},
		{app, channel, nil, true},
	} {
		if _, err := a.Authorize(t.Context(), test.app, Request{SocketID: 1, Channel: test.channel, Header: test.header}); err != nil {
			t.Fatal(err)
		}
		if test.asks {
			asked++
		}
		if n := calls.Load(); n != asked {
			t.Fatalf("%s of %s with %v: %d calls, want %d", test.channel, test.app.Key, test.header, n, asked)
		}
	}
}

// TestCacheKeepsNoRefusal: whoever was refused is asked about again.
func TestCacheKeepsNoRefusal(t *testing.T) {
	var status atomic.Int32
	a, calls := caching(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, int(status.Load()), "true") })
	for i, code := range []int{401, 403, 500, 302, 200, 403} {
		status.Store(int32(code))
		_, err := a.authorize(t, channel)
		if granted := err == nil; granted != (i >= 4) {
			t.Errorf("answer %d, %d: %v", i+1, code, err)
		}
	}
	if n := calls.Load(); n != 5 {
		t.Errorf("%d calls, want 5: the yes is kept", n)
	}
}

// TestCacheAgain: a question put again goes to the API, whose no ends what is
// kept; when the API is away, that says nothing.
func TestCacheAgain(t *testing.T) {
	status := new(atomic.Int32)
	status.Store(200)
	a, calls := caching(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, int(status.Load()), "true") })
	for i, step := range []struct {
		status int32
		again  bool
		want   string
		calls  int32
	}{
		{200, false, resultOK, 1},
		{200, true, resultOK, 2},
		{500, true, ReasonServerError, 3},
		{500, false, resultOK, 3},
		{403, true, ReasonForbidden, 4},
		{403, false, ReasonForbidden, 5},
	} {
		status.Store(step.status)
		ask := a.Authorize
		if step.again {
			ask = a.AuthorizeAgain
		}
		_, err := ask(t.Context(), app, Request{SocketID: socketID(t, "123456.789012"), Channel: channel, Header: http.Header{"Authorization": {token}}})
		if got := reasonOf(t, err); got != step.want || calls.Load() != step.calls {
			t.Errorf("step %d: %s after %d calls, want %s after %d", i+1, got, calls.Load(), step.want, step.calls)
		}
	}
}

// TestCacheAsksOnce has many connections of one client ask while the API thinks.
// The first to ask leaves, which ends nobody else's question.
func TestCacheAsksOnce(t *testing.T) {
	release := make(chan struct{})
	a, calls := caching(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		answer(w, http.StatusOK, "true")
	})
	ask := func(ctx context.Context, id int) error {
		req := Request{SocketID: protocol.SocketID(id), Channel: channel, Header: http.Header{"Authorization": {token}}}
		grant, err := a.Authorize(ctx, app, req)
		if err == nil && grant.Auth != SignChannel(appKey, appSecret, req.SocketID, channel, "") {
			t.Errorf("connection %d has the signature %s", id, grant.Auth)
		}
		return err
	}
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- ask(ctx, 1) }()
	eventually(t, "the API is asked", func() bool { return calls.Load() == 1 })
	leave()
	if got := reasonOf(t, <-first); got != ReasonCanceled {
		t.Errorf("who left: %s", got)
	}
	const others = 100
	results := make(chan error, others)
	for i := range others {
		go func() { results <- ask(t.Context(), 2+i) }()
	}
	close(release)
	for range others {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	// The one who left is not counted: nothing became of its question.
	if hits, joined := a.cacheCount(t, cacheHit), a.cacheCount(t, cacheJoined); hits+joined != others {
		t.Errorf("%v hits and %v that joined, want %d together", hits, joined, others)
	}
}

func (a *asker) cacheCount(t *testing.T, result string) float64 {
	t.Helper()
	families, err := a.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "broadcastd_auth_cache_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("nothing counts %s", result)
	return 0
}

// TestCacheForgets: by time, and by size.
func TestCacheForgets(t *testing.T) {
	c, now := newCache(time.Second), time.Now()
	key := func(i int) (k cacheKey) {
		copy(k[:], url.QueryEscape(fmt.Sprint(i)))
		return k
	}
	has := func(i int, now time.Time) bool {
		_, ok := c.get(key(i), now)
		return ok
	}
	c.put(key(1), Grant{Auth: "a signature", ChannelData: "x"}, now)
	c.put(key(2), Grant{}, now.Add(500*time.Millisecond))
	if got, ok := c.get(key(1), now.Add(999*time.Millisecond)); !ok || got != (Grant{ChannelData: "x"}) {
		t.Errorf("kept is %+v", got)
	}
	if has(1, now.Add(time.Second)) || !has(2, now.Add(time.Second)) || has(2, now.Add(1500*time.Millisecond)) {
		t.Error("a yes is kept for longer or shorter than a second")
	}
	if len(c.byKey) != 0 || c.order.Len() != 0 || c.bytes != 0 {
		t.Errorf("%d, %d and %d bytes are left of nothing", len(c.byKey), c.order.Len(), c.bytes)
	}

	large := strings.Repeat("x", maxReply)
	most := maxCached / (maxReply + cachedSize)
	for i := range 2 * most {
		c.put(key(i), Grant{ChannelData: large}, now)
		c.put(key(i), Grant{ChannelData: large}, now) // instead of itself
	}
	if c.bytes > maxCached || len(c.byKey) != most || c.order.Len() != most || has(0, now) || !has(2*most-1, now) {
		t.Errorf("%d yeses of %d bytes are kept, want %d of %d at most, the latest", len(c.byKey), c.bytes, most, maxCached)
	}
	c.drop(key(2*most - 1))
	if has(2*most-1, now) {
		t.Error("a dropped yes is kept")
	}
}

// brokenLog panics when it is written to.
type brokenLog struct{ slog.Handler }

func (brokenLog) Handle(context.Context, slog.Record) error { panic("a bug") }

// TestCachePanics: a bug in a call ends those that wait for it, who can guard
// themselves, and not the process; and it is not kept.
func TestCachePanics(t *testing.T) {
	a, calls := caching(t, replies("false"))
	a.API.log = slog.New(brokenLog{a.API.log.Handler()})
	for n := range 2 {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "a bug") || !strings.Contains(text, "brokenLog") {
					t.Errorf("it panicked with %q, want what and where", text)
				}
			}()
			_, err := a.Authorize(t.Context(), app, Request{SocketID: socketID(t, "1.2"), Channel: channel, Header: http.Header{"Authorization": {token}}})
			t.Errorf("call %d: %v", n+1, err)
		}()
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}
