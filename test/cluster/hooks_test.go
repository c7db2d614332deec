package cluster_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// receiver takes webhooks.
type receiver struct {
	url string

	mu   sync.Mutex
	told map[string]hookEvent // by id
	bad  []string             // what should not have come
}

type hookEvent struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Channel string `json:"channel"`
	UserID  string `json:"user_id"`
	Event   string `json:"event"`
	Data    string `json:"data"`
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{told: map[string]hookEvent{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/hooks"
	return r
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the node died
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	var batch struct {
		Events []hookEvent `json:"events"`
	}
	err = json.Unmarshal(body, &batch)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || req.Header.Get("X-Pusher-Signature") != hex.EncodeToString(mac.Sum(nil)) {
		r.bad = append(r.bad, "not signed, or no JSON: "+string(body))
	}
	for _, e := range batch.Events {
		before, again := r.told[e.ID]
		switch {
		case strings.Count(e.ID, "-") != 2:
			r.bad = append(r.bad, "no good id: "+string(body))
		case again && before != e:
			r.bad = append(r.bad, "another event with the same id: "+string(body))
		}
		r.told[e.ID] = e
	}
}

// inOrder are the events, each once, in the order of their ids.
func (r *receiver) inOrder() []hookEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]hookEvent, 0, len(r.told))
	for _, e := range r.told {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b hookEvent) int {
		aMS, aSeq := idParts(a.ID)
		bMS, bSeq := idParts(b.ID)
		return cmp.Or(cmp.Compare(aMS, bMS), cmp.Compare(aSeq, bSeq))
	})
	return all
}

// idParts are the numbers in "ms-seq-partition" that tell a channel's order.
func idParts(id string) (ms, seq int) {
	parts := strings.SplitN(id, "-", 3)
	ms, _ = strconv.Atoi(parts[0])
	seq, _ = strconv.Atoi(parts[1])
	return ms, seq
}

// state is what the events, in order, come to: occupied channels, and members as
// "channel user".
func (r *receiver) state() (occupied, members map[string]bool) {
	occupied, members = map[string]bool{}, map[string]bool{}
	for _, e := range r.inOrder() {
		switch e.Name {
		case "channel_occupied":
			occupied[e.Channel] = true
		case "channel_vacated":
			delete(occupied, e.Channel)
		case "member_added":
			members[e.Channel+" "+e.UserID] = true
		case "member_removed":
			delete(members, e.Channel+" "+e.UserID)
		}
	}
	return occupied, members
}
