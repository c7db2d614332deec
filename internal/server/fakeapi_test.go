package server_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadcastd/internal/config"
)

// api is the application that knows who may listen. It knows one client, by
// token or cookie.
type api struct {
	url string
	mu  sync.Mutex
	// calls are the requests that came, guarded by mu.
	calls []*http.Request
	// hold, when set, keeps answers back until it gives way.
	hold chan struct{}
	// says, when set, is what it answers about each channel.
	says atomic.Pointer[map[string]verdict]
	// gone gets a value for each call that was given up on while held back.
	gone chan struct{}
}

type verdict struct {
	status int
	body   string
}

func startAPI(t testing.TB) *api {
	t.Helper()
	a := &api{gone: make(chan struct{}, 10)}
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	a.url = srv.URL + "/broadcasting/auth"
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // an empty form is refused below
	a.mu.Lock()
	a.calls = append(a.calls, r)
	hold := a.hold
	a.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			select {
			case a.gone <- struct{}{}:
			default: // nobody waits for so many
			}
			return
		}
	}
	if all := a.says.Load(); all != nil {
		v := (*all)[r.PostForm.Get("channel_name")]
		w.WriteHeader(cmp.Or(v.status, http.StatusForbidden))
		_, _ = io.WriteString(w, v.body)
		return
	}
	known := r.Header.Get("Authorization") == "Bearer "+token || strings.Contains(r.Header.Get("Cookie"), "session="+token)
	switch channel := r.PostForm.Get("channel_name"); {
	case !known:
		http.Error(w, `{"message":"Unauthenticated."}`, http.StatusUnauthorized)
	case channel == "private-user.7":
		_, _ = io.WriteString(w, "true")
	case channel == "presence-room.5":
		_, _ = io.WriteString(w, `{"channel_data":{"user_id":7,"user_info":{"name":"Ann"}}}`)
	case channel == "private-broken":
		http.Error(w, "", http.StatusInternalServerError)
	case channel == "private-login":
		http.Redirect(w, r, "/login", http.StatusFound)
	default:
		http.Error(w, "{}", http.StatusForbidden)
	}
}

// mute keeps answers back from now on, until release or the test's end.
func (a *api) mute(t testing.TB) (release func()) {
	t.Helper()
	hold := make(chan struct{})
	a.mu.Lock()
	a.hold = hold
	a.mu.Unlock()
	release = sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	return release
}

// called returns the calls so far.
func (a *api) called() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

func (a *api) waitCalls(t testing.TB, n int) {
	t.Helper()
	eventually(t, func() bool { return len(a.called()) == n }, func() string { return fmt.Sprintf("%d calls", len(a.called())) })
}

// waitGone waits until the daemon has given a call up.
func (a *api) waitGone(t testing.TB) {
	t.Helper()
	select {
	case <-a.gone:
	case <-time.After(patience):
		t.Fatal("the API is still being asked")
	}
}

func (a *api) configure(c *config.Config) { c.Auth.Endpoint = a.url }
