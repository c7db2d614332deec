package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"broadcastd/protocol"
)

func (a *asker) authenticateUser(t *testing.T) (UserGrant, error) {
	t.Helper()
	return a.AuthenticateUser(t.Context(), app, UserRequest{
		SocketID: socketID(t, "123456.789012"),
		Header:   http.Header{"Authorization": {token}, "X-Forwarded-For": {"1.2.3.4"}},
	})
}

// newUserAsker asks the endpoint for users alone.
func newUserAsker(t *testing.T, endpoint string) *asker {
	t.Helper()
	return newAsker(t, "", func(c *APIConfig) { c.UserEndpoint = endpoint })
}

// checkUserGrant demands what pusher-js does: user_data with a non-empty
// string as id, and a signature that pusher:signin passes with.
func checkUserGrant(t *testing.T, name string, grant UserGrant) {
	t.Helper()
	if err := VerifyUser(grant.Auth, appKey, appSecret, socketID(t, "123456.789012"), grant.UserData); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	var user map[string]any
	if err := json.Unmarshal([]byte(grant.UserData), &user); err != nil {
		t.Errorf("%s: user_data %q: %v", name, grant.UserData, err)
	}
	if id, ok := user["id"].(string); !ok || id == "" || !utf8.ValidString(grant.UserData) {
		t.Errorf("%s: user_data %q has no string as id", name, grant.UserData)
	}
}

func TestUserGrant(t *testing.T) {
	id := socketID(t, "123456.789012")
	signed := func(data string) string {
		return fmt.Sprintf(`{"auth":%q,"user_data":%q}`, SignUser(appKey, appSecret, id, data), data)
	}
	for name, tt := range map[string]struct {
		body, want string // a reason, or ok
		data       string // user_data of the grant
	}{
		"string id":           {`{"id":"7"}`, resultOK, `{"id":"7"}`},
		"integer id":          {`{"id":7}`, resultOK, `{"id":"7"}`},
		"integer beyond 2^53": {`{"id":9007199254740993}`, resultOK, `{"id":"9007199254740993"}`},
		"negative id":         {`{"id":-7}`, resultOK, `{"id":"-7"}`},
		"user_info":           {`{"user_info":{"n":1.0,"big":9007199254740993},"id":7}`, resultOK, `{"id":"7","user_info":{"n":1.0,"big":9007199254740993}}`},
		"watchlist":           {`{"id":"7","watchlist":["8","9"],"x":null}`, resultOK, `{"id":"7","watchlist":["8","9"],"x":null}`},
		"odd id":              {`{"id":"a\"\u00e9\/ 7"}`, resultOK, `{"id":"a\"é/ 7"}`},
		"id twice":            {`{"id":"7","id":8}`, resultOK, `{"id":"8"}`},
		"ID is not id":        {`{"id":"7","ID":"8"}`, resultOK, `{"ID":"8","id":"7"}`},
		"only ID":             {`{"ID":"8"}`, ReasonNoUser, ""},
		"auth null":           {`{"auth":null,"id":"7"}`, resultOK, `{"auth":null,"id":"7"}`},
		"white space":         {" {\"id\" : \"7\"}\r\n", resultOK, `{"id":"7"}`},
		"128 characters":      {`{"id":"` + strings.Repeat("é", protocol.MaxUserID) + `"}`, resultOK, `{"id":"` + strings.Repeat("é", protocol.MaxUserID) + `"}`},
		"129 characters":      {`{"id":"` + strings.Repeat("a", protocol.MaxUserID+1) + `"}`, ReasonNoUser, ""},
		"true":                {"true", ReasonNoUser, ""},
		"false":               {"false", ReasonForbidden, ""},
		"null":                {"null", ReasonForbidden, ""},
		"an empty object":     {"{}", ReasonNoUser, ""},
		"empty id":            {`{"id":""}`, ReasonNoUser, ""},
		"null id":             {`{"id":null}`, ReasonNoUser, ""},
		"fraction as id":      {`{"id":7.0}`, ReasonNoUser, ""},
		"true as id":          {`{"id":true}`, ReasonNoUser, ""},
		"object as id":        {`{"id":{"id":7}}`, ReasonNoUser, ""},
		"for a channel":       {`{"channel_data":{"user_id":7}}`, ReasonNoUser, ""},
		"a message":           {`{"message":"ok"}`, ReasonNoUser, ""},
		"empty":               {"", ReasonBadReply, ""},
		"a web page":          {"<!DOCTYPE html>", ReasonBadReply, ""},
		"a number":            {"7", ReasonBadReply, ""},
		"a string":            {`"7"`, ReasonBadReply, ""},
		"an empty array":      {"[]", ReasonBadReply, ""},
		"cut off":             {`{"id":"7"`, ReasonBadReply, ""},
		"and garbage":         {`{"id":"7"}<br>`, ReasonBadReply, ""},
		"not UTF-8":           {"{\"id\":\"\xff\"}", ReasonBadReply, ""},
		"deep":                {strings.Repeat(`{"id":`, 20000) + "1" + strings.Repeat("}", 20000), ReasonBadReply, ""},

		"signed":                   {signed(`{"id":"7"}`), resultOK, `{"id":"7"}`},
		"signed, as it is":         {signed(`{ "x":"\u00e9\/", "id":"7" }`), resultOK, `{ "x":"\u00e9\/", "id":"7" }`},
		"signed, integer id":       {signed(`{"id":7}`), ReasonNoUser, ""},
		"signed, empty id":         {signed(`{"id":""}`), ReasonNoUser, ""},
		"signed, no id":            {signed(`{"ID":"7"}`), ReasonNoUser, ""},
		"signed, no object":        {signed(`["7"]`), ReasonNoUser, ""},
		"signed, no JSON":          {signed(`7`), ReasonNoUser, ""},
		"signed for another":       {strings.Replace(signed(`{"id":"7"}`), `"7`, `"8`, 1), ReasonBadSignature, ""},
		"signed with another data": {strings.Replace(signed(`{"id":"7"}`), `\"7`, `\"8`, 1), ReasonBadSignature, ""},
		"signed by another app":    {`{"auth":"x` + signed(`{"id":"7"}`)[9:], ReasonBadSignature, ""},
		"signed for a channel": {fmt.Sprintf(`{"auth":%q,"user_data":"{\"id\":\"7\"}"}`,
			SignChannel(appKey, appSecret, id, channel, `{"id":"7"}`)), ReasonBadSignature, ""},
		"auth, no user_data":           {`{"auth":"app-key:00"}`, ReasonBadReply, ""},
		"auth, user_data an object":    {`{"auth":"app-key:00","user_data":{"id":"7"}}`, ReasonBadReply, ""},
		"auth, user_data null":         {`{"auth":"app-key:00","user_data":null}`, ReasonBadSignature, ""},
		"auth true":                    {`{"auth":true,"user_data":"{}"}`, ReasonBadReply, ""},
		"auth empty, beside a good id": {`{"auth":"","id":"7"}`, ReasonBadReply, ""},
	} {
		grant, no := UserRequest{SocketID: id}.grant(app, []byte(tt.body))
		if got := resultOf(no); got != tt.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, tt.want, no)
			continue
		}
		if no != nil {
			_ = refusal(t, no)
			continue
		}
		checkUserGrant(t, name, grant)
		if grant.UserData != tt.data {
			t.Errorf("%s: user_data %s, want %s", name, grant.UserData, tt.data)
		}
	}
}

// TestAuthenticateUserRecorded asks a real Laravel application's replies.
func TestAuthenticateUserRecorded(t *testing.T) {
	var replies []recordedReply
	loadFixture(t, "broadcasting-auth.json", &replies)
	results := map[string]string{
		"redis: user-auth signed in":                  resultOK,
		"redis: user-auth no bearer token":            ReasonUnauthorized,
		"redis: user-auth missing socket_id":          resultOK,
		"redis: web routes: user-auth not signed in":  ReasonForbidden,
		"reverb: user-auth signed in":                 resultOK,
		"reverb: user-auth no bearer token":           ReasonUnauthorized,
		"reverb: user-auth missing socket_id":         ReasonServerError,
		"reverb: web routes: user-auth not signed in": ReasonForbidden,
		"redis: private allowed (form)":               ReasonNoUser,
		"redis: presence allowed (form)":              ReasonNoUser,
		"reverb: presence allowed (form)":             ReasonBadReply,
	}
	var current recordedReply
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", strings.Join(current.Response.Headers["Content-Type"], ""))
		answer(w, current.Response.Status, current.Response.Body)
	})
	a := newUserAsker(t, server.URL)
	grants := map[UserGrant]bool{}
	for _, current = range replies {
		name := current.Driver + ": " + current.Case
		want, ok := results[name]
		if !ok {
			continue
		}
		delete(results, name)
		grant, err := a.authenticateUser(t)
		if got := reasonOf(t, err); got != want {
			t.Errorf("%s: %s, want %s (%v)", name, got, want, err)
			continue
		}
		if err != nil {
			checkStatus(t, name, current.Response.Status, refusal(t, err))
			continue
		}
		checkUserGrant(t, name, grant)
		grants[grant] = true
	}
	if len(grants) != 1 {
		t.Errorf("we sign otherwise than Laravel does: %v", grants)
	}
	for name := range results {
		t.Errorf("no recorded case is called %q", name)
	}
	for kind, want := range map[*kind]float64{askUser: 3, askChannel: 0} {
		if n := a.valueOf(t, "broadcastd_auth_requests_total", kind, resultOK); n != want {
			t.Errorf("%v grants counted for a %s, want %v", n, kind.name, want)
		}
	}
}

func TestAuthenticateUserRequest(t *testing.T) {
	got := make(chan *http.Request, 1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // an empty form is refused below
		got <- r
		answer(w, http.StatusOK, `{"id":7}`)
	})
	a := newUserAsker(t, server.URL+"/broadcasting/user-auth")
	if _, err := a.authenticateUser(t); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if form := r.PostForm.Encode(); form != "socket_id=123456.789012" || r.URL.Path != "/broadcasting/user-auth" {
		t.Errorf("asked %s with %s", r.URL.Path, form)
	}
	if r.Header.Get("Authorization") != token || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("X-Requested-With") == "" {
		t.Errorf("headers %v", r.Header)
	}
}

func TestAuthenticateUserRefuses(t *testing.T) {
	const status = `{"id":"` + token + `"}`
	for name, tt := range map[string]struct {
		socketID protocol.SocketID
		header   http.Header
		status   int // of the API
		want     string
		says     string
	}{
		"nobody's socket": {0, nil, 200, ReasonMalformed, "socket_id"},
		"control bytes":   {1, http.Header{"Cookie": {"a\x00"}}, 200, ReasonMalformed, "cookie"},
		"401":             {1, nil, 401, ReasonUnauthorized, "token"},
		"403":             {1, nil, 403, ReasonForbidden, "does not let this client sign in"},
		"404":             {1, nil, 404, ReasonClientError, "auth.user_endpoint the URL of its /broadcasting/user-auth"},
		"419":             {1, nil, 419, ReasonClientError, "/broadcasting/user-auth"},
		"302":             {1, nil, 302, ReasonRedirect, "auth.user_endpoint"},
		"500":             {1, nil, 500, ReasonServerError, "log"},
	} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, tt.status, status) })
		a := newUserAsker(t, server.URL)
		req := UserRequest{SocketID: tt.socketID, Header: tt.header}
		grant, err := a.AuthenticateUser(t.Context(), app, req)
		if got := reasonOf(t, err); got != tt.want || grant != (UserGrant{}) {
			t.Errorf("%s: %s, want %s (%v, %v)", name, got, tt.want, err, grant)
			continue
		}
		if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %q does not say %q", name, err, tt.says)
		}
		checkNoToken(t, a, err)
	}
}

// TestQuestionsShareSlots has a question about a channel wait for one about a
// user.
func TestQuestionsShareSlots(t *testing.T) {
	release := make(chan struct{})
	users := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		answer(w, http.StatusOK, `{"id":7}`)
	})
	channels := serve(t, replies("true"))
	a := newAsker(t, channels.URL, func(c *APIConfig) { c.UserEndpoint, c.MaxConcurrent = users.URL, 1 })
	results := make(chan error, 2)
	go func() {
		_, err := a.authenticateUser(t)
		results <- err
	}()
	eventually(t, "the slot is taken", func() bool { return a.value(t, "broadcastd_auth_requests_in_flight", "") == 1 })
	go func() {
		_, err := a.authorize(t, channel)
		results <- err
	}()
	eventually(t, "the other waits", func() bool { return a.value(t, "broadcastd_auth_requests_waiting", "") == 1 })
	close(release)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func FuzzUserGrant(f *testing.F) {
	var replies []recordedReply
	loadFixture(f, "broadcasting-auth.json", &replies)
	for _, r := range replies {
		f.Add([]byte(r.Response.Body))
	}
	f.Add([]byte(`{"id":-0,"id":"\ud800"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		grant, no := UserRequest{SocketID: socketID(t, "123456.789012")}.grant(app, body)
		if no == nil {
			checkUserGrant(t, string(body), grant)
			return
		}
		_ = refusal(t, no)
		if grant != (UserGrant{}) {
			t.Errorf("refused with a grant: %+v", grant)
		}
	})
}
