package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// fakeAPI is the application that says who may listen: everybody, as the user that
// their token names.
type fakeAPI struct {
	url    string
	server *httptest.Server
	mood   atomic.Pointer[mood]
	calls  atomic.Int64
}

// mood is how something answers; nil: well.
type mood struct {
	slow   time.Duration
	status int // 0: as ever
}

func startFakeAPI() *fakeAPI {
	a := &fakeAPI{}
	a.server = httptest.NewServer(a)
	a.url = a.server.URL + "/broadcasting/auth"
	return a
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.calls.Add(1)
	if !a.mood.Load().act(w, r) {
		return
	}
	user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	channel := r.FormValue("channel_name")
	switch {
	case !ok:
		http.Error(w, `{"message":"Unauthenticated."}`, http.StatusUnauthorized)
	case isPresence(channel):
		fmt.Fprintf(w, `{"channel_data":%s}`, memberOf(user))
	default:
		fmt.Fprint(w, "true")
	}
}

// act reports whether all else is as ever.
func (m *mood) act(w http.ResponseWriter, r *http.Request) bool {
	if m == nil {
		return true
	}
	select {
	case <-time.After(m.slow):
	case <-r.Context().Done():
		return false
	}
	if m.status != 0 {
		http.Error(w, "", m.status)
		return false
	}
	return true
}
