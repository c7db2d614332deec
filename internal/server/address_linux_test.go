package server_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"broadcastd/internal/config"
)

// TestMaxConnectionsPerAddress needs more than one address, and all of 127/8 are
// the machine's own here.
func TestMaxConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		c.MaxConnectionsPerAddress = 2
		c.HandshakeTimeout = time.Hour
		c.TrustedProxies = []string{"127.0.0.1"}
	})
	open := func(address string) *client {
		c := d.dialFrom(t, address)
		c.write([]byte(d.handshake(appTarget, "X-Forwarded-For: 203.0.113.1"))) // no proxy, so this means nothing
		c.wantUpgrade()
		return c
	}
	get := func(address string) *http.Response {
		c := d.dialFrom(t, address)
		c.write([]byte("GET /up HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		return c.response()
	}
	first := open("127.0.0.2")
	first.wantEstablished()
	silent := d.dialFrom(t, "127.0.0.2")
	d.waitMetric(t, servedNow, 2)
	open("127.0.0.2").wantRefusal()
	res := get("127.0.0.2")
	body, err := io.ReadAll(res.Body)
	if err != nil || !res.Close || res.Header.Get("Retry-After") != "1" {
		t.Errorf("the answer to one too many: %v, %v", res.Header, err)
	}
	wantErrorLine(t, reply{res.StatusCode, res.Header, string(body)}, http.StatusServiceUnavailable)
	if got := d.metric(t, `broadcastd_http_requests_total{code="503",route="refused"}`); got != 1 {
		t.Errorf("%v such answers counted, want 1", got)
	}
	open("127.0.0.3").wantEstablished()
	if res := get("127.0.0.4"); res.StatusCode != http.StatusOK {
		t.Errorf("another address: %s", res.Status)
	}
	_ = silent.nc.Close()
	_ = first.nc.Close()
	d.waitMetric(t, `broadcastd_connections{app="app-id"}`, 1)
	open("127.0.0.2").wantEstablished()
}
