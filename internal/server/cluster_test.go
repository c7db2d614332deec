package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/protocol"
)

// TestClusterDelivers: what one node is given, the clients of all get.
func TestClusterDelivers(t *testing.T) {
	t.Parallel()
	log := newFakeLog(t)
	here, node := log.node(t)
	there, _ := log.node(t)
	const channel = "private-a"
	ann, bob, eve := here.connect(t), there.connect(t), there.connect(t)
	for _, c := range []*client{ann, bob} {
		c.subscribe(channel)
	}

	body := mustJSON(t, map[string]any{"name": "e", "channels": []string{channel, "private-b"}, "data": "1", "info": "subscription_count"})
	if got := here.post(t, eventsPath, body); got.status != http.StatusOK || got.body != `{"channels":{"private-a":{"subscription_count":2},"private-b":{"subscription_count":0}}}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	batch := mustJSON(t, map[string]any{"batch": []map[string]string{{"name": "e", "channel": channel, "data": "2"}}})
	if got := there.post(t, batchPath, batch); got.status != http.StatusOK || got.body != "{}" {
		t.Errorf("%d %s", got.status, got.body)
	}
	for _, c := range []*client{ann, bob} {
		c.wantEvent(channel, "e", "1")
		c.wantEvent(channel, "e", "2")
	}
	ann.send(`{"event":"client-t","channel":"private-a","data":{"a": 1}}`)
	bob.want(`{"event":"client-t","channel":"private-a","data":{"a": 1}}`)

	// The API added this to the log itself, and this node counts it.
	log.with(func() {
		log.entries = append(log.entries, func() {
			node.node.Deliver(&protocol.Event{Channel: channel, Name: "fresh", Data: []byte(`"3"`)}, true)
			node.node.Deliver(&protocol.Event{Channel: "private-encrypted-a", Name: "fresh", Data: []byte(`"3"`)}, true)
		})
	})
	ann.wantEvent(channel, "fresh", "3") // its own whisper it didn't get
	// What comes by PUBLISH, every node hears by itself.
	if err := there.Publish(server.SourceRedis, appID, protocol.Event{Channel: channel, Name: "e", Data: []byte(`"4"`)}); err != nil {
		t.Error(err)
	}
	bob.wantEvent(channel, "e", "4")
	log.settle(t)
	for _, c := range []*client{ann, bob, eve} {
		c.fence()
	}
	for _, want := range []struct {
		d            *daemon
		name, source string
		value        float64
	}{
		{here, "events", "http", 2}, {there, "events", "http", 1}, {here, "events", "client", 1}, {there, "events", "client", 0},
		{here, "events", "stream", 2}, {here, "events_unheard", "stream", 1}, {here, "plain_events", "stream", 1}, {there, "events", "redis", 1},
	} {
		want.d.waitMetric(t, fmt.Sprintf("broadcastd_%s_total{app=%q,source=%q}", want.name, appID, want.source), want.value)
	}
}

// TestClusterPresence: a member is one wherever they are.
func TestClusterPresence(t *testing.T) {
	t.Parallel()
	log := newFakeLog(t)
	const room = "presence-room"
	few := func(c *config.Config) { c.App.MaxPresenceMembers = 2 }
	here, _ := log.node(t, few)
	there, _ := log.node(t, few)
	ann, eve, eveToo, mallory := here.connect(t), here.connect(t), there.connect(t), there.connect(t)
	mallory.signin("guest")
	mallory.subscribe("jobs")

	both := map[string]string{"ann": "ANN", "eve": "EVE"}
	ann.joinAs(room, "ann")
	for _, c := range []*client{eveToo, eve} {
		if got := c.joinAs(room, "eve"); !reflect.DeepEqual(got, both) {
			t.Errorf("the roster is %v, want %v", got, both)
		}
	}
	ann.want(`{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"eve\",\"user_info\":{\"name\":\"EVE\"}}"}`)
	mallory.send(mallory.subscription(room, "mallory"))
	mallory.wantRefused(room, "LimitReached", http.StatusForbidden)
	if got := eveToo.joinAs(room, "eve"); !reflect.DeepEqual(got, both) {
		t.Errorf("a second subscribe is answered with %v, want %v", got, both)
	}
	for range 2 {
		mallory.send(mallory.subscription("jobs", ""))
		mallory.want(`{"event":"pusher_internal:subscription_succeeded","channel":"jobs","data":"{}"}`)
	}
	log.wantState(t, "map[jobs:1 presence-room:3] map[presence-room:map[ann:1 eve:2]] map[guest:1] 4\n")

	if got := here.get(t, appPath+"/channels/"+room, map[string]string{"info": "user_count,subscription_count"}); got.body != `{"occupied":true,"user_count":2,"subscription_count":3}` {
		t.Errorf("the channel is %s", got.body)
	}
	if got := here.get(t, appPath+"/channels", nil); got.body != `{"channels":{"jobs":{},"presence-room":{}}}` {
		t.Errorf("the channels are %s", got.body)
	}
	if got := here.get(t, appPath+"/channels/"+room+"/users", nil); got.body != `{"users":[{"id":"ann"},{"id":"eve"}]}` {
		t.Errorf("the users are %s", got.body)
	}
	if got := here.get(t, appPath+"/connections", nil); got.body != `{"connections":4}` {
		t.Errorf("the connections are %s", got.body)
	}

	// Terminated by one node, on both.
	for _, user := range []string{"eve", "mallory"} { // who was refused is nobody's member
		if got := there.signed(t, http.MethodPost, appPath+"/users/"+user+"/terminate_connections", nil, "{}"); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	eve.wantClose(terminated)
	eveToo.wantClose(terminated)
	ann.want(`{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"eve\"}"}`)
	log.wantState(t, "map[jobs:1 presence-room:1] map[presence-room:map[ann:1]] map[guest:1] 2\n")
	ann.unsubscribe(room)
	log.wantState(t, "map[jobs:1] map[] map[guest:1] 2\n")
	log.settle(t)
	ann.fence()
	mallory.fence()
}

// TestClusterWhisperWhilePending: who doesn't wait to hear that it is in a channel
// can whisper, as on a node by itself.
func TestClusterWhisperWhilePending(t *testing.T) {
	t.Parallel()
	log := newFakeLog(t)
	d, _ := log.node(t)
	const channel = "private-a"
	hears, hasty := d.connect(t), d.connect(t)
	hears.send(hears.subscription(channel, ""))
	hears.want(`{"event":"pusher_internal:subscription_succeeded","channel":"private-a","data":"{}"}`)
	log.pause(true)
	hasty.send(hasty.subscription(channel, ""))
	hasty.send(`{"event":"client-t","channel":"private-a","data":1}`)
	hasty.fence()
	log.pause(false)
	hears.want(`{"event":"client-t","channel":"private-a","data":1}`)
	hasty.want(`{"event":"pusher_internal:subscription_succeeded","channel":"private-a","data":"{}"}`)
	hasty.fence()
}

// TestClusterPendingJoin: a join that waits for the log can be taken back, and
// ends with the connection.
func TestClusterPendingJoin(t *testing.T) {
	t.Parallel()
	log := newFakeLog(t)
	d, _ := log.node(t)
	const channel = "private-a"
	const again = `{"event":"pusher_internal:subscription_succeeded","channel":"private-a","data":"{}"}`
	first, stays, leaves, returns, ends := d.connect(t), d.connect(t), d.connect(t), d.connect(t), d.connect(t)
	first.subscribe(channel)
	log.pause(true)
	for _, c := range []*client{stays, leaves, returns, ends} {
		c.send(c.subscription(channel, ""))
		c.send(c.subscription(channel, "")) // will be answered, once
		c.fence()
	}
	log.wantState(t, "map[private-a:5] map[] map[] 5\n")
	leaves.unsubscribe(channel)
	returns.unsubscribe(channel)
	returns.send(returns.subscription(channel, ""))
	_ = ends.nc.Close()
	log.wantState(t, "map[private-a:3] map[] map[] 4\n")
	leaves.fence()

	log.pause(false)
	stays.want(again)
	returns.want(again)
	log.settle(t)
	for _, c := range []*client{first, stays, leaves, returns} {
		c.fence()
	}
	d.waitMetric(t, `broadcastd_subscriptions{app="app-id",kind="private"}`, 3)
	log.with(func() {
		if log.joins != 6 {
			t.Errorf("%d joins were counted, want one for each that began", log.joins)
		}
	})
	stays.unsubscribe(channel)
	_ = returns.nc.Close()
	log.wantState(t, "map[private-a:1] map[] map[] 3\n")
	d.waitMetric(t, `broadcastd_subscriptions{app="app-id",kind="private"}`, 1)
	first.unsubscribe(channel)
	log.wantState(t, "map[] map[] map[] 3\n")
	d.waitMetric(t, `broadcastd_subscriptions{app="app-id",kind="private"}`, 0)
	d.waitMetric(t, `broadcastd_channels{app="app-id",kind="private"}`, 0)
}

// TestClusterAsks: a join that the API allowed, and one for which a signature
// came meanwhile, wait for the log as all do.
func TestClusterAsks(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.hold = make(chan struct{})
	log := newFakeLog(t)
	d, _ := log.node(t, a.configure)
	asks, signs := d.connect(t, "Authorization: Bearer "+token), d.connect(t, "Authorization: Bearer "+token)
	asks.subscribeUnsigned(private)
	signs.subscribeUnsigned(private)
	signs.send(signs.subscription(private, ""))
	signs.want(succeeded)
	log.wantState(t, "map[private-user.7:1] map[] map[] 2\n")
	close(a.hold)
	asks.want(succeeded)
	signs.fence()
	log.wantState(t, "map[private-user.7:2] map[] map[] 2\n")
}

// TestClusterWatches: who is signed in anywhere is online.
func TestClusterWatches(t *testing.T) {
	t.Parallel()
	event := func(name, ids string) string {
		return fmt.Sprintf(`{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"%s\",\"user_ids\":[%s]}]}"}`, name, ids)
	}
	log := newFakeLog(t)
	here, node := log.node(t)
	there, _ := log.node(t)
	bob, eve, zoe := there.connect(t), there.connect(t), there.connect(t)
	bob.signin("bob")
	zoe.signin("zoe")

	ann, gone := here.connect(t), here.connect(t)
	ann.send(ann.signinAs(`{"id":"ann","watchlist":["bob","zoe","eve"]}`))
	if m := ann.next(); m.Event != "pusher:signin_success" {
		t.Fatalf("%+v", m)
	}
	ann.want(event("online", `\"bob\"`))
	ann.want(event("online", `\"zoe\"`))
	eve.signin("eve")
	ann.want(event("online", `\"eve\"`))
	_ = bob.nc.Close()
	ann.want(event("offline", `\"bob\"`))

	// Who ends before it hears who is online watches nobody.
	log.pause(true)
	gone.send(gone.signinAs(`{"id":"gone","watchlist":["max"]}`))
	if m := gone.next(); m.Event != "pusher:signin_success" {
		t.Fatalf("%+v", m)
	}
	_ = gone.nc.Close()
	log.wantState(t, "map[] map[] map[ann:1 eve:1 zoe:1] 3\n")
	log.pause(false)
	log.settle(t)
	ann.fence()
	watched := node.node.Users.Watched()
	slices.Sort(watched)
	if !slices.Equal(watched, []string{"bob", "eve", "zoe"}) {
		t.Errorf("watched are %v", watched)
	}
	_ = ann.nc.Close()
	log.wantState(t, "map[] map[] map[eve:1 zoe:1] 2\n")
	if watched := node.node.Users.Watched(); len(watched) != 0 {
		t.Errorf("after the end watched are %v", watched)
	}
}

// TestClusterUnavailable: what the cluster cannot do is refused, and the API
// learns whether to send it again.
func TestClusterUnavailable(t *testing.T) {
	t.Parallel()
	log := newFakeLog(t)
	d, _ := log.node(t)
	c := d.connect(t)
	c.subscribe("jobs")
	const event = `{"name":"e","channel":"jobs","data":"1","info":"subscription_count"}`
	requests := map[string]struct{ method, path, body, away, unsure string }{
		"POST /apps/{app_id}/events":                                {http.MethodPost, eventsPath, event, "none of the events was kept", "may have been published"},
		"POST /apps/{app_id}/batch_events":                          {http.MethodPost, batchPath, `{"batch":[` + event + `]}`, "none of the events was kept", "may have been published"},
		"GET /apps/{app_id}/channels":                               {http.MethodGet, appPath + "/channels", "", "ask again", "ask again"},
		"GET /apps/{app_id}/channels/{channel_name}":                {http.MethodGet, appPath + "/channels/jobs", "", "ask again", "ask again"},
		"GET /apps/{app_id}/channels/{channel_name}/users":          {http.MethodGet, appPath + "/channels/presence-a/users", "", "ask again", "ask again"},
		"GET /apps/{app_id}/connections":                            {http.MethodGet, appPath + "/connections", "", "ask again", "ask again"},
		"POST /apps/{app_id}/users/{user_id}/terminate_connections": {http.MethodPost, appPath + "/users/7/terminate_connections", "{}", "no connection was closed", "may have been closed"},
	}
	for route, r := range requests {
		for want, err := range map[string]error{r.away: fmt.Errorf("node 1: %w", channels.ErrAway), r.unsure: errors.New("redis: connection pool timeout")} {
			log.fail(err)
			got := d.signed(t, r.method, r.path, nil, r.body)
			wantErrorLine(t, got, http.StatusServiceUnavailable)
			wantDocumented(t, route, got)
			if !strings.Contains(got.body, want) || strings.Contains(got.body, "pool") {
				t.Errorf("%s: %s, want %q in it", route, got.body, want)
			}
		}
	}
	log.settle(t)
	c.fence()
	if n := d.metric(t, `broadcastd_events_total{app="app-id",source="http"}`); n != 0 {
		t.Errorf("%v events are counted", n)
	}

	// The events are kept, but nothing is known of their channels: an error would
	// have them sent again.
	log.fail(nil)
	log.with(func() { log.infoErr = channels.ErrAway })
	if got := d.post(t, eventsPath, []byte(event)); got.status != http.StatusOK || got.body != `{"channels":{"jobs":{}}}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.wantEvent("jobs", "e", "1")
}

// TestClusterTellsWebhooks: one node tells what happened on all, with ids, and
// hears when that is done with. Two things are said to the cluster by the hub.
func TestClusterTellsWebhooks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var content struct {
			Events []struct{ ID, Name, Channel string }
		}
		text, err := io.ReadAll(r.Body)
		if err := errors.Join(err, json.Unmarshal(text, &content)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range content.Events {
			told = append(told, e.ID+" "+e.Name+" "+e.Channel)
		}
	}))
	t.Cleanup(receiver.Close)
	hooks := func(c *config.Config) {
		c.App.Webhooks = []config.Webhook{{URL: receiver.URL, ChannelPrefix: "private-"}}
		c.App.CacheTTL, c.App.CacheSize = time.Hour, 1<<20
	}
	log := newFakeLog(t)
	_, _ = log.node(t, hooks)
	there, node := log.node(t, hooks)
	const channel = "private-cache-a"
	c, other := there.connect(t), there.connect(t)
	c.subscribe(channel)
	c.send(`{"event":"client-t","channel":"` + channel + `","data":1}`)
	c.subscribe("jobs") // of which no webhook is told

	if err := there.Publish(server.SourceRedis, appID, protocol.Event{Channel: channel, Name: "e", Data: []byte(`"1"`)}); err != nil {
		t.Error(err)
	}
	if err := there.Publish(server.SourceRedis, appID, protocol.Event{Channel: "jobs", Name: "e", Data: []byte(`"1"`)}); err != nil {
		t.Error(err)
	}
	other.subscribe(channel) // nothing is missed any more
	node.mu.Lock()
	if !slices.Equal(node.kept, []string{channel}) {
		t.Errorf("the cluster was told that the hub keeps events of %v", node.kept)
	}
	node.mu.Unlock()

	want := []string{"id-1 channel_occupied " + channel, "id-2 cache_miss " + channel, "id-3 client_event " + channel}
	eventually(t, func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		return log.told == 4 && log.done == 4
	}, log.state)
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(told, want) {
		t.Errorf("webhooks were told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

// TestClusterShutdown: the node leaves once, when its sessions are over.
func TestClusterShutdown(t *testing.T) {
	t.Parallel()
	log := newFakeLog(t)
	d, node := log.node(t)
	c := d.connect(t)
	c.joinAs("presence-room", "7")
	c.signin("7")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.stop(ctx); err != nil {
		t.Error(err)
	}
	d.Close()
	node.mu.Lock()
	defer node.mu.Unlock()
	if !slices.Equal(node.left, []string{nothingCounted}) {
		t.Errorf("when the node left, it had\n%s", strings.Join(node.left, ""))
	}
}
