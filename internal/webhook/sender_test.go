package webhook

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadcastd/protocol"
)

// TestReturns plays what happens to a channel, and how long after the step
// before; it then lists what was told within a minute.
func TestReturns(t *testing.T) {
	occupied := func(s *Sender) { s.Occupied("c") }
	vacated := func(s *Sender) { s.Vacated("c") }
	added := func(s *Sender) { s.MemberAdded("presence-c", "7") }
	removed := func(s *Sender) { s.MemberRemoved("presence-c", "7") }
	const ms = time.Millisecond
	type step struct {
		after time.Duration
		do    func(*Sender)
	}
	for name, c := range map[string]struct {
		steps []step
		want  []string
	}{
		"comes":       {[]step{{0, occupied}}, []string{"channel_occupied c"}},
		"goes":        {[]step{{0, vacated}}, []string{"channel_vacated c"}},
		"returns":     {[]step{{0, vacated}, {2999 * ms, occupied}}, nil},
		"too late":    {[]step{{0, vacated}, {3001 * ms, occupied}}, []string{"channel_vacated c", "channel_occupied c"}},
		"goes twice":  {[]step{{0, vacated}, {2 * time.Second, occupied}, {2 * time.Second, vacated}}, []string{"channel_vacated c"}},
		"comes, goes": {[]step{{0, occupied}, {ms, vacated}, {ms, occupied}, {ms, vacated}}, []string{"channel_occupied c", "channel_vacated c"}},
		"member":      {[]step{{0, added}, {ms, removed}, {ms, added}}, []string{"member_added presence-c 7"}},
		"member goes": {[]step{{0, removed}}, []string{"member_removed presence-c 7"}},
		"other member": {
			[]step{{0, removed}, {time.Second, func(s *Sender) { s.MemberAdded("presence-c", "8") }}},
			[]string{"member_added presence-c 8", "member_removed presence-c 7"},
		},
		"other channel": {
			[]step{{0, removed}, {time.Second, func(s *Sender) { s.MemberAdded("presence-d", "7") }}},
			[]string{"member_added presence-d 7", "member_removed presence-c 7"},
		},
		"last member": {
			[]step{{0, removed}, {0, func(s *Sender) { s.Vacated("presence-c") }}},
			[]string{"member_removed presence-c 7", "channel_vacated presence-c"},
		},
		"other user enters": {
			[]step{{0, removed}, {0, func(s *Sender) { s.Vacated("presence-c") }}, {ms, func(s *Sender) {
				s.Occupied("presence-c")
				s.MemberAdded("presence-c", "8")
			}}},
			[]string{"member_added presence-c 8", "member_removed presence-c 7"},
		},
		"several expire in turn": {
			[]step{{0, vacated}, {time.Second, removed}, {time.Second, func(s *Sender) { s.Vacated("d") }}, {500 * ms, added}},
			[]string{"channel_vacated c", "channel_vacated d"},
		},
		"others are told at once": {
			[]step{{0, vacated}, {0, func(s *Sender) { s.CacheMissed("cache-c") }}, {time.Second, func(s *Sender) { s.SubscriptionCount("c", 3) }}},
			[]string{"cache_miss cache-c", "subscription_count c 3", "channel_vacated c"},
		},
		"user's own channel": {
			[]step{{0, func(s *Sender) {
				s.Occupied("#server-to-user-7")
				s.SubscriptionCount("#server-to-user-7", 1)
				s.Vacated("#server-to-user-7")
			}}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				o, _, _ := options(n)
				s := mustNew(t, o)
				for _, step := range c.steps {
					time.Sleep(step.after)
					step.do(s)
				}
				time.Sleep(time.Minute)
				equal(t, "told", n.events(t, "hook.example"), c.want)
				mustShutdown(t, s)
			})
		})
	}
}

// TestReturnsAreShared: a hook that hears only of arrivals isn't told twice.
func TestReturnsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		o.Hooks[0].Events = []string{ChannelOccupied}
		s := mustNew(t, o)
		for range 3 {
			s.Occupied("c")
			s.Vacated("c")
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		equal(t, "told", n.events(t, "hook.example"), []string{"channel_occupied c"})
		mustShutdown(t, s)
	})
}

func TestHeldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, _ := options(n)
		s := mustNew(t, o)
		for i := range maxHeld + 2 {
			s.Vacated(fmt.Sprint("c", i))
		}
		time.Sleep(time.Second)
		equal(t, "told early", n.events(t, "hook.example"), []string{"channel_vacated c0", "channel_vacated c1"})
		time.Sleep(time.Minute)
		if told := len(n.events(t, "hook.example")); told != maxHeld+2 {
			t.Errorf("%d were told, want %d", told, maxHeld+2)
		}
		mustShutdown(t, s)
	})
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		o, _, reg := options(n)
		o.Hooks = []Hook{
			{URL: "http://all.example"},
			{URL: "http://names.example", Events: []string{CacheMiss, MemberAdded}},
			{URL: "http://prefix.example", Prefix: "private-"},
			{URL: "http://suffix.example", Suffix: ".7"},
			{URL: "http://both.example", Prefix: "private-", Suffix: ".7", Events: []string{ChannelOccupied}},
			{URL: "http://none.example", Prefix: "private-", Events: []string{CacheMiss}},
		}
		s := mustNew(t, o)
		s.Occupied("private-job.7")
		s.Occupied("job.7")
		s.Occupied("private-job.8")
		s.MemberAdded("presence-room.7", "1")
		s.CacheMissed("cache-a")
		time.Sleep(time.Minute)
		mustShutdown(t, s)
		for host, want := range map[string][]string{
			"all": {"channel_occupied private-job.7", "channel_occupied job.7", "channel_occupied private-job.8",
				"member_added presence-room.7 1", "cache_miss cache-a"},
			"names":  {"member_added presence-room.7 1", "cache_miss cache-a"},
			"prefix": {"channel_occupied private-job.7", "channel_occupied private-job.8"},
			"suffix": {"channel_occupied private-job.7", "channel_occupied job.7", "member_added presence-room.7 1"},
			"both":   {"channel_occupied private-job.7"},
			"none":   nil,
		} {
			equal(t, host, n.events(t, host+".example"), want)
		}
		wantMetrics(t, reg, map[string]float64{
			"broadcastd_webhook_requests_total{app=1,hook=0,result=ok}":        1,
			"broadcastd_webhook_requests_total{app=1,hook=5,result=ok}":        0,
			"broadcastd_webhook_events_total{app=1,event=channel_occupied}":    8,
			"broadcastd_webhook_events_total{app=1,event=subscription_count}":  0,
			"broadcastd_webhook_dropped_total{app=1,hook=0,reason=queue_full}": 0,
			"broadcastd_webhook_queue{app=1,hook=0}":                           0,
		})
	})
}

func TestClientEvents(t *testing.T) {
	for name, c := range map[string]struct {
		channel, data, userID, want string
	}{
		"object":   {"private-c", `{"a":"<b>"}`, "", `{"name":"client_event","channel":"private-c","event":"client-e","data":"{\"a\":\"<b>\"}","socket_id":"1.2"}`},
		"string":   {"private-c", `"{\"a\":1}"`, "", `{"name":"client_event","channel":"private-c","event":"client-e","data":"{\"a\":1}","socket_id":"1.2"}`},
		"nothing":  {"private-c", `""`, "", `{"name":"client_event","channel":"private-c","event":"client-e","data":"","socket_id":"1.2"}`},
		"null":     {"private-c", `null`, "", `{"name":"client_event","channel":"private-c","event":"client-e","data":"null","socket_id":"1.2"}`},
		"presence": {"presence-c", `[1]`, "7", `{"name":"client_event","channel":"presence-c","user_id":"7","event":"client-e","data":"[1]","socket_id":"1.2"}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				o, _, _ := options(n)
				s := mustNew(t, o)
				began := time.Now().UnixMilli()
				id, ok := protocol.ParseSocketID("1.2")
				if !ok {
					t.Fatal("1.2 is no socket id")
				}
				s.ClientEvent(&protocol.Event{Channel: c.channel, Name: "client-e", Data: json.RawMessage(c.data), Except: id, UserID: c.userID})
				time.Sleep(time.Second)
				posts := n.all()
				if len(posts) != 1 {
					t.Fatalf("%d requests, want 1", len(posts))
				}
				var got, want any
				text := fmt.Sprintf(`{"time_ms":%d,"events":[%s]}`, began, c.want)
				if err := json.Unmarshal([]byte(text), &want); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(posts[0].body), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got  %s, %v\nwant %s", posts[0].body, err, text)
				}
				mustShutdown(t, s)
			})
		})
	}
}

func TestBadURLs(t *testing.T) {
	for _, bad := range []string{"", "hook.example", "ftp://hook.example", "http://", "http://:80", "http://%zz" + testSecret} {
		o, _, _ := options(nil)
		o.Hooks = append(o.Hooks, Hook{URL: bad})
		_, err := New(o)
		if want := "webhook 1 of app 1: its URL is not an absolute http or https URL"; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %q", bad, err, want)
		}
	}
}

// TestConcurrent lets everything happen at once, under the race detector: no
// event is lost and each channel's are in order.
func TestConcurrent(t *testing.T) {
	n := &network{}
	o, _, _ := options(n)
	o.ReturnTime = time.Hour
	s := mustNew(t, o)
	var all sync.WaitGroup
	const channels, events = 8, 200
	for c := range channels {
		all.Go(func() {
			name := fmt.Sprint("presence-c", c)
			for i := range events {
				s.MemberAdded(name, fmt.Sprint(i))
				s.MemberRemoved(name, fmt.Sprint(i))
				s.MemberAdded(name, fmt.Sprint(i))
			}
		})
	}
	all.Wait()
	mustShutdown(t, s)
	byChannel := map[string][]string{}
	for _, e := range n.events(t, "hook.example") {
		words := strings.Fields(e)
		byChannel[words[1]] = append(byChannel[words[1]], words[2])
	}
	var want []string
	for i := range events {
		want = append(want, fmt.Sprint(i))
	}
	for c := range channels {
		equal(t, fmt.Sprint("channel ", c), byChannel[fmt.Sprint("presence-c", c)], want)
	}
}
