package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// receiver takes a group's webhooks.
type receiver struct {
	url     string
	server  *httptest.Server
	ordered bool // by ids, as of a cluster; otherwise as they come
	mood    atomic.Pointer[mood]

	mu   sync.Mutex          // guards the following
	told map[string]hookTold // by id
	came []hookTold
	bad  []string
}

type hookTold struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Channel string `json:"channel"`
	UserID  string `json:"user_id"`
}

func startReceiver(ordered bool) *receiver {
	r := &receiver{ordered: ordered, told: map[string]hookTold{}}
	r.server = httptest.NewServer(r)
	r.url = r.server.URL + "/hooks"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil || !r.mood.Load().act(w, req) {
		return // the node died, or gets an error
	}
	var batch struct {
		Events []hookTold `json:"events"`
	}
	err = json.Unmarshal(body, &batch)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || req.Header.Get("X-Pusher-Signature") != sign(string(body)) {
		r.bad = append(r.bad, "not signed, or no JSON: "+string(body))
	}
	for _, e := range batch.Events {
		if e.Name == "client_event" || e.Name == "cache_miss" || e.Name == "subscription_count" {
			continue // not part of the state
		}
		if !r.ordered {
			r.came = append(r.came, e)
			continue
		}
		if before, again := r.told[e.ID]; again && before != e {
			r.bad = append(r.bad, fmt.Sprintf("%v has the id of %v", e, before))
		}
		r.told[e.ID] = e
	}
}

// events are what was told, each once, in order.
func (r *receiver) events() []hookTold {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ordered {
		return slices.Clone(r.came)
	}
	return slices.SortedFunc(maps.Values(r.told), func(a, b hookTold) int {
		aMS, aSeq := idParts(a.ID)
		bMS, bSeq := idParts(b.ID)
		return cmp.Or(cmp.Compare(aMS, bMS), cmp.Compare(aSeq, bSeq))
	})
}

// idParts are the numbers in "ms-seq-partition" that tell a channel's order.
func idParts(id string) (ms, seq int) {
	parts := strings.SplitN(id+"--", "-", 3)
	ms, _ = strconv.Atoi(parts[0])
	seq, _ = strconv.Atoi(parts[1])
	return ms, seq
}

// check is an error unless what was told comes to who is where.
func (r *receiver) check(m model) error {
	told := map[string]bool{}
	for _, e := range r.events() {
		switch e.Name {
		case "channel_occupied":
			told[e.Channel] = true
		case "channel_vacated":
			delete(told, e.Channel)
		case "member_added":
			told[e.Channel+" "+e.UserID] = true
		case "member_removed":
			delete(told, e.Channel+" "+e.UserID)
		}
	}
	want := map[string]bool{}
	for channel := range m.subscribers {
		want[channel] = true
	}
	for channel, users := range m.members {
		for user := range users {
			want[channel+" "+user] = true
		}
	}
	if !maps.Equal(told, want) {
		return fmt.Errorf("webhooks: %s", differ(told, want))
	}
	return nil
}

// differ tells of two sets' differences.
func differ(got, want map[string]bool) string {
	var more, fewer []string
	for name := range got {
		if !want[name] {
			more = append(more, name)
		}
	}
	for name := range want {
		if !got[name] {
			fewer = append(fewer, name)
		}
	}
	slices.Sort(more)
	slices.Sort(fewer)
	return fmt.Sprintf("%q should not be there, %q should", more, fewer)
}
