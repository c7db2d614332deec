package server_test

import (
	"net/http"
	"net/netip"
	"testing"

	"broadcastd/internal/server"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, test := range map[string]struct {
		peer string
		said []string
		want string
	}{
		"no proxy":               {"203.0.113.1", []string{"198.51.100.1"}, "203.0.113.1"},
		"silent proxy":           {"10.0.0.1", nil, "10.0.0.1"},
		"empty":                  {"10.0.0.1", []string{""}, "10.0.0.1"},
		"a client":               {"10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"forged":                 {"10.0.0.1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		"forged as a proxy":      {"10.0.0.1", []string{"10.0.0.9, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":            {"10.0.0.1", []string{"1.1.1.1, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"two lines":              {"10.0.0.1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		"a client among proxies": {"10.0.0.1", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		"malformed":              {"10.0.0.1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		"malformed behind":       {"10.0.0.1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.1"},
		"malformed before":       {"10.0.0.1", []string{"unknown, 198.51.100.1"}, "198.51.100.1"},
		"trailing comma":         {"10.0.0.1", []string{"198.51.100.1,"}, "10.0.0.1"},
		"with a port":            {"10.0.0.1", []string{"198.51.100.1:443"}, "198.51.100.1"},
		"IPv6":                   {"fd00::1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 with a port":       {"fd00::1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		"IPv6 in brackets":       {"fd00::1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a zone":       {"fd00::1", []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv4 as IPv6":           {"10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"proxy, IPv4 as IPv6":    {"10.0.0.1", []string{"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := server.ClientAddress(trusted, netip.MustParseAddr(test.peer), http.Header{"X-Forwarded-For": test.said})
			if got != netip.MustParseAddr(test.want) {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}
