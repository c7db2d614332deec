package server_test

import (
	"net/http"
	"testing"
)

// TestSafeHeaders demands them of every kind of answer, errors included.
func TestSafeHeaders(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	d := start(t, a.configure)
	public, admin := "http://"+d.Addr().String(), "http://"+d.AdminAddr().String()
	id := d.connect(t).id.String()
	for name, test := range map[string]struct {
		method, url string
		body        string
		status      int
	}{
		"health":             {"GET", public + "/up", "", 200},
		"readiness":          {"HEAD", public + "/readyz", "", 200},
		"nothing there":      {"GET", public + "/", "", 404},
		"a path like no URL": {"GET", public + "/a//b", "", 404},
		"unsigned":           {"POST", public + eventsPath, "{}", 401},
		"method":             {"DELETE", public + eventsPath, "", 405},
		"preflight":          {"OPTIONS", public + eventsPath, "", 204},
		"signature":          {"POST", public + authPath, "channel_name=private-user.7&socket_id=" + id, 200},
		"no signature":       {"POST", public + authPath, "channel_name=private-user.8&socket_id=" + id, 403},
		"no WebSocket":       {"GET", public + appTarget, "", 426},
		"metrics":            {"GET", admin + "/metrics", "", 200},
		"admin's health":     {"GET", admin + "/up", "", 200},
		"admin's nothing":    {"GET", admin + "/app", "", 404},
	} {
		got := d.ask(t, test.method, test.url, []byte(test.body), bearer(formType))
		if got.status != test.status {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.status)
		}
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Server": "", "X-Powered-By": "",
		} {
			if values := got.header.Values(header); want == "" && len(values) > 0 || want != "" && (len(values) != 1 || values[0] != want) {
				t.Errorf("%s: %s is %q, want %q", name, header, values, want)
			}
		}
	}
	if got := d.do(t, http.MethodPost, authPath, nil, http.Header{"Origin": {"https://example.com"}}); got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("CORS: %v", got.header)
	}
}
