package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"broadcastd/protocol"
)

type recordedReply struct {
	Driver, Case string
	Request      struct {
		Path, Body string
		Headers    http.Header
	}
	Response struct {
		Status  int
		Headers http.Header
		Body    string
	}
}

// wish is what the recorded request asked for. Where it named no channel, as
// for a user's authentication, the reply must not pass as a yes for one.
func (r recordedReply) wish(t *testing.T) Request {
	t.Helper()
	path, query, _ := strings.Cut(r.Request.Path, "?")
	form, err := url.ParseQuery(query + "&" + r.Request.Body)
	if err != nil {
		t.Fatalf("%s: %v", r.Case, err)
	}
	name, socket := form.Get("channel_name"), form.Get("socket_id")
	var body map[string]any
	if json.Unmarshal([]byte(r.Request.Body), &body) == nil {
		name, _ = body["channel_name"].(string)
		socket, _ = body["socket_id"].(string)
	}
	if path == "/broadcasting/user-auth" || r.Case == "OPTIONS preflight" {
		name, socket = channel, "123456.789012"
	}
	id, _ := protocol.ParseSocketID(socket)
	return Request{SocketID: id, Channel: name, Header: r.Request.Headers}
}

// recordedResults says what becomes of each recorded case; "reverb: " in front
// is for the driver that signs, where it differs.
var recordedResults = map[string]string{
	"private allowed (form)":                                          resultOK,
	"private denied (form)":                                           ReasonForbidden,
	"presence allowed (form)":                                         resultOK,
	"presence denied (form)":                                          ReasonForbidden,
	"private allowed (json)":                                          resultOK,
	"private denied (json)":                                           ReasonForbidden,
	"presence allowed (json)":                                         resultOK,
	"presence denied (json)":                                          ReasonForbidden,
	"private allowed, no Accept header":                               resultOK,
	"private allowed, X-Requested-With, no Accept JSON":               resultOK,
	"private allowed, GET":                                            resultOK,
	"private allowed, other party":                                    resultOK,
	"private own user channel":                                        resultOK,
	"private other user's channel":                                    ReasonForbidden,
	"private notification channel":                                    resultOK,
	"private uuid user channel":                                       resultOK,
	"private job that does not exist":                                 ReasonForbidden,
	"private denied, no Accept header":                                ReasonForbidden,
	"presence allowed, string user id":                                resultOK,
	"presence allowed, second member":                                 resultOK,
	"presence, callback returns true instead of an array":             ReasonNoMember,
	"reverb: presence, callback returns true instead of an array":     resultOK,
	"private, callback returns an array":                              resultOK,
	"private, callback returns a string":                              resultOK,
	"private, callback returns null":                                  ReasonForbidden,
	"private, callback throws":                                        ReasonServerError,
	"private, callback throws, no Accept header":                      ReasonServerError,
	"private, callback aborts 403 with a message":                     ReasonForbidden,
	"private with the redis prefix in the name":                       ReasonBadChannel,
	"private-encrypted allowed":                                       ReasonNoSecret,
	"reverb: private-encrypted allowed":                               resultOK,
	"private-cache allowed":                                           ReasonForbidden,
	"presence-cache allowed":                                          ReasonForbidden,
	"no bearer token":                                                 ReasonUnauthorized,
	"no bearer token, no Accept header, app without a login route":    ReasonServerError,
	"no bearer token, X-Requested-With and Accept */*":                ReasonUnauthorized,
	"wrong bearer token":                                              ReasonUnauthorized,
	"unknown channel pattern":                                         ReasonForbidden,
	"public channel, no pattern":                                      ReasonBadChannel,
	"public name with a pattern":                                      ReasonBadChannel,
	"missing channel_name":                                            ReasonBadChannel,
	"empty channel_name":                                              ReasonBadChannel,
	"missing socket_id":                                               ReasonMalformed,
	"missing socket_id, presence":                                     ReasonMalformed,
	"malformed socket_id":                                             ReasonMalformed,
	"invalid characters in channel name":                              ReasonBadChannel,
	"empty body":                                                      ReasonBadChannel,
	"channel_name is an array (json)":                                 ReasonBadChannel,
	"malformed json body":                                             ReasonBadChannel,
	"name aliases: redis prefix inside the name":                      resultOK,
	"reverb: name aliases: redis prefix inside the name":              ReasonForbidden,
	"name aliases: presence- in front of a private pattern":           ReasonNoMember,
	"reverb: name aliases: presence- in front of a private pattern":   resultOK,
	"name aliases: private- in front of a presence pattern":           resultOK,
	"name aliases: leading zero":                                      resultOK,
	"name aliases: no prefix":                                         ReasonBadChannel,
	"name aliases: no prefix, no token needed?":                       ReasonBadChannel,
	"OPTIONS preflight":                                               ReasonBadReply,
	"private allowed with Origin (default CORS config)":               resultOK,
	"user-auth signed in":                                             ReasonBadReply,
	"reverb: user-auth signed in":                                     ReasonBadSignature,
	"user-auth no bearer token":                                       ReasonUnauthorized,
	"user-auth missing socket_id":                                     ReasonBadReply,
	"reverb: user-auth missing socket_id":                             ReasonServerError,
	"APP_DEBUG=true: private denied":                                  ReasonForbidden,
	"APP_DEBUG=true: callback throws":                                 ReasonServerError,
	"no bearer token, no Accept header, app with a login route":       ReasonRedirect,
	"web routes: private, bearer ignored":                             ReasonForbidden,
	"web routes: channel with guards api, allowed":                    resultOK,
	"web routes: channel with guards api, no token":                   ReasonForbidden,
	"web routes: channel with guards api, no token, no Accept header": ReasonForbidden,
	"web routes: user-auth not signed in":                             ReasonForbidden,
	"throttled, request 1":                                            resultOK,
	"throttled, request 2":                                            ReasonClientError,
	"maintenance mode (artisan down --retry=15)":                      ReasonServerError,
}

func TestAuthorizeRecorded(t *testing.T) {
	var replies []recordedReply
	loadFixture(t, "broadcasting-auth.json", &replies)
	var current recordedReply
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range current.Response.Headers {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
		w.WriteHeader(current.Response.Status)
		_, _ = w.Write([]byte(current.Response.Body))
	})
	a := newAsker(t, server.URL, nil)
	seen := map[string]bool{}
	signedHere := map[string]Grant{} // by case, for the driver that does not sign
	for _, current = range replies {
		name := current.Driver + ": " + current.Case
		want, ok := recordedResults[name]
		if seen[name] = true; !ok {
			want = recordedResults[current.Case]
			seen[current.Case] = true
		}
		wish := current.wish(t)
		grant, err := a.Authorize(t.Context(), app, wish)
		if got := reasonOf(t, err); got != want {
			t.Errorf("%s: %s, want %q (%v)", name, got, want, err)
			continue
		}
		if err != nil {
			checkStatus(t, name, current.Response.Status, refusal(t, err))
			continue
		}
		checkGrant(t, name, wish, grant)
		if current.Driver == "redis" {
			signedHere[current.Case] = grant
		} else if ours, ok := signedHere[current.Case]; ok && ours != grant {
			t.Errorf("%s: we sign %+v, Laravel %+v", current.Case, ours, grant)
		}
	}
	for name := range recordedResults {
		if !seen[name] {
			t.Errorf("no recorded case is called %q", name)
		}
	}
	for _, result := range []string{resultOK, ReasonForbidden, ReasonBadChannel} {
		if a.value(t, "broadcastd_auth_requests_total", result) == 0 {
			t.Errorf("nothing counted as %s", result)
		}
	}
}

// checkStatus demands that every no of the API keeps its status.
func checkStatus(t *testing.T, name string, answered int, r *Refusal) {
	t.Helper()
	want := answered
	switch {
	case r.Reason == ReasonBadChannel, r.Reason == ReasonMalformed:
		want = 400
	case answered == 200:
		want = 502
	case answered == 302:
		want = 401
	}
	if r.Status != want {
		t.Errorf("%s: status %d of the API became %d, want %d", name, answered, r.Status, want)
	}
}

// checkGrant demands that a grant is good for the subscription that
// pusher-js makes of it.
func checkGrant(t *testing.T, name string, wish Request, grant Grant) {
	t.Helper()
	if err := VerifyChannel(grant.Auth, appKey, appSecret, wish.SocketID, wish.Channel, grant.ChannelData); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	kind := protocol.KindOf(wish.Channel)
	if kind.IsEncrypted() && grant.SharedSecret == "" {
		t.Errorf("%s: granted without a shared secret", name)
	}
	if !kind.IsPresence() {
		return
	}
	if _, err := protocol.ParseMember(grant.ChannelData); err != nil {
		t.Errorf("%s: channel_data %q: %v", name, grant.ChannelData, err)
	}
}
