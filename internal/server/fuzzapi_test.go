package server_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"broadcastd/auth"
)

var errorLine = regexp.MustCompile(`^\{"error":".+"\}$`)

// FuzzAPI signs whatever comes: no input is a 500, and every answer is a JSON
// object of its status.
//
// Coverage varies from run to run, so fuzz with -fuzzminimizetime=1x.
func FuzzAPI(f *testing.F) {
	d := start(f, withAuth)
	methods := []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut}
	for i, seed := range []struct{ path, params, body string }{
		{"/channels", "presence-", ""},
		{"/events", "", `{"name":"e","channel":"cache-x","data":"1","info":"user_count"}`},
		{"/channels/cache-x", "cache", ""},
		{"/channels/presence-x/users", "", ""},
		{"/batch_events", "", `{"batch":[{"name":"e","channel":"a","data":"1","socket_id":"1.2"}]}`},
		{"/users/a%2Fb/terminate_connections", "", "{}"},
		{"/../%", "\xff", "\x00"},
	} {
		f.Add(byte(i), seed.path, seed.params, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, method byte, path, param string, body []byte) {
		m := methods[int(method)%len(methods)]
		target := appPath + path
		query := auth.SignRequest(m, target, map[string]string{"info": param, "filter_by_prefix": param}, body, appKey, appSecret, time.Now())
		req, err := http.NewRequestWithContext(t.Context(), m, "http://"+d.Addr().String()+target+"?"+query, strings.NewReader(string(body)))
		if err != nil || req.URL.RawQuery != query || len(target)+len(query) > 8<<10 {
			return // no path, or more than the server reads of a head
		}
		res, err := d.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		switch {
		case err != nil:
			t.Fatal(err)
		case m == http.MethodHead, res.StatusCode == http.StatusNoContent:
			return
		case res.StatusCode == http.StatusOK && strings.HasPrefix(string(text), "{"):
			return
		case res.StatusCode < 400 || res.StatusCode >= 500 || !errorLine.Match(text):
			t.Errorf("%s %q: %d %q", m, target, res.StatusCode, text)
		}
	})
}
