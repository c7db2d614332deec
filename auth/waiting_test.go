package auth

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestWaitingIsBounded counts as many as may wait for a slot, rather than to have
// them here: one more is turned away at once, one less still waits.
func TestWaitingIsBounded(t *testing.T) {
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		answer(w, http.StatusOK, "true")
	})
	t.Cleanup(let) // before the server's end, which waits
	a := newAsker(t, server.URL, func(c *APIConfig) { c.MaxConcurrent, c.MaxWait = 1, time.Hour })
	answers := make(chan error, 2)
	ask := func() {
		_, err := a.authorize(t, channel)
		answers <- err
	}
	go ask()
	eventually(t, "the slot is taken", func() bool { return a.value(t, "broadcastd_auth_requests_in_flight", "") == 1 })

	a.waiting.Store(50_000)
	ctx, cancel := context.WithTimeout(t.Context(), patience) // or it would wait for an hour
	defer cancel()
	_, err := a.Authorize(ctx, app, Request{SocketID: socketID(t, "1.2"), Channel: channel, Header: http.Header{"Authorization": {token}}})
	if r := refusal(t, err); r.Reason != ReasonBusy || r.Status != http.StatusServiceUnavailable {
		t.Errorf("one too many was refused with %s and %d, want busy and 503", r.Reason, r.Status)
	}

	a.waiting.Store(49_999)
	go ask()
	eventually(t, "one waits", func() bool { return a.waiting.Load() == 50_000 })
	let()
	for range 2 {
		if err := <-answers; err != nil {
			t.Errorf("one that was let in: %v", err)
		}
	}
}
