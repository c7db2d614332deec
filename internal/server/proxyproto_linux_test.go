package server_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestProxyProtocolIsForProxies: from others the header is no HTTP, and none is
// waited for.
func TestProxyProtocolIsForProxies(t *testing.T) {
	t.Parallel()
	d := start(t, behindProxy)
	forger := d.dialFrom(t, "127.0.0.2")
	forger.write([]byte(headerV1("203.0.113.1") + d.handshake(appTarget)))
	if res := forger.response(); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a header from a stranger: %s", res.Status)
	}
	_ = forger.nc.Close()
	d.waitMetric(t, servedNow, 0)
	c := d.dialFrom(t, "127.0.0.2")
	c.write([]byte(d.handshake(appTarget)))
	c.wantUpgrade()
	c.wantEstablished()
}

// TestProxiedConnectionsAreDescriptors: they take no goroutine either. It doesn't
// run beside other tests, whose connections may.
func TestProxiedConnectionsAreDescriptors(t *testing.T) {
	d := start(t, behindProxy)
	c := d.dial(t)
	c.write([]byte(headerV1("203.0.113.1") + d.handshake(appTarget)))
	c.wantUpgrade()
	c.wantEstablished()
	c.fence()
	all := make([]byte, 4<<20)
	all = all[:runtime.Stack(all, true)]
	if !strings.Contains(string(all), "socket.(*poller).run") || strings.Contains(string(all), "socket.(*netLink)") {
		t.Errorf("the connection is no descriptor:\n%s", all)
	}
}
