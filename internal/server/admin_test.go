package server_test

import (
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/internal/config"
	"broadcastd/internal/server"
)

const adminToken = "admin-token-0123456789"

// profiles are the addresses that admin.pprof adds, but for those that take a
// second or more.
var profiles = []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/goroutine?debug=2"}

func TestAdminToken(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.Admin.Token, c.Admin.Pprof = adminToken, true })
	admin := "http://" + d.AdminAddr().String()
	for name, test := range map[string]struct {
		authorization string
		status        int
	}{
		"the token":      {"Bearer " + adminToken, 200},
		"scheme's case":  {"bearer " + adminToken, 200},
		"nothing":        {"", 401},
		"no scheme":      {adminToken, 401},
		"another scheme": {"Basic " + adminToken, 401},
		"another token":  {"Bearer " + strings.ToUpper(adminToken), 401},
		"its beginning":  {"Bearer " + adminToken[:20], 401},
		"more than it":   {"Bearer " + adminToken + "0", 401},
		"no token":       {"Bearer ", 401},
	} {
		for _, path := range append(profiles, "/metrics") {
			got := d.ask(t, http.MethodGet, admin+path, nil, http.Header{"Authorization": {test.authorization}})
			if got.status != test.status {
				t.Errorf("%s: %s answers %d, want %d", name, path, got.status, test.status)
			}
			if test.status == 401 {
				wantErrorLine(t, got, 401)
				if got.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(got.body, adminToken) {
					t.Errorf("%s: %s answers %v %s", name, path, got.header, got.body)
				}
			}
		}
	}
	for _, path := range []string{"/up", "/healthz", "/readyz"} {
		if got := d.ask(t, http.MethodGet, admin+path, nil, nil); got.status != http.StatusOK {
			t.Errorf("%s without a token: %d", path, got.status)
		}
	}
	if strings.Contains(d.log.String(), adminToken) {
		t.Error("the log has the token in it")
	}
}

// TestAdminWebPages: a page that an operator has open is no operator.
func TestAdminWebPages(t *testing.T) {
	t.Parallel()
	d := start(t)
	ask := func(host, origin string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.AdminAddr().String()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		res, err := d.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.1:9601", "localhost", "LOCALHOST:9601", "[::1]:9601", "[::1]"} {
		if got := ask(host, ""); got != http.StatusOK {
			t.Errorf("of host %s: %d", host, got)
		}
		if got := ask(host, "https://evil.example"); got != http.StatusForbidden {
			t.Errorf("of host %s, by a page: %d", host, got)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:9601", "localhost.evil.example", "127.0.0.1.evil.example"} {
		if got := ask(host, ""); got != http.StatusForbidden { // a name that leads here (DNS rebinding)
			t.Errorf("of host %s: %d", host, got)
		}
	}
}

func TestPprofOnlyWhenOn(t *testing.T) {
	t.Parallel()
	off := start(t)
	on := start(t, func(c *config.Config) { c.Admin.Pprof = true })
	for _, path := range append(profiles, "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1") {
		if got := off.ask(t, http.MethodGet, "http://"+off.AdminAddr().String()+path, nil, nil); got.status != http.StatusNotFound {
			t.Errorf("%s although switched off: %d", path, got.status)
		}
		for _, d := range []*daemon{off, on} {
			if got := d.do(t, http.MethodGet, path, nil, nil); got.status != http.StatusNotFound {
				t.Errorf("%s where clients connect: %d", path, got.status)
			}
		}
	}
	for _, path := range profiles {
		if got := on.ask(t, http.MethodGet, "http://"+on.AdminAddr().String()+path, nil, nil); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// TestAdminGivenSocket: a socket that the process was given is held to the same as
// admin.listen.
func TestAdminGivenSocket(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		network, address, token string
		starts                  bool
	}{
		{"tcp", "0.0.0.0:0", "", false},
		{"tcp", "0.0.0.0:0", adminToken, true},
		{"tcp", "127.0.0.1:0", "", true},
		{"unix", filepath.Join(t.TempDir(), "admin.sock"), "", true},
	} {
		l, err := net.Listen(test.network, test.address)
		if err != nil {
			t.Fatal(err)
		}
		cfg := appConfig()
		cfg.Admin.Token = test.token
		s, err := server.New(server.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Admin: l})
		if test.starts != (err == nil) || err != nil && !strings.Contains(err.Error(), "admin.token") {
			t.Errorf("%s %s, token %q: %v", test.network, test.address, test.token, err)
		}
		if err == nil {
			s.Close()
		}
	}
}
