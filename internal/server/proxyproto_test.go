package server_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pires/go-proxyproto"

	"broadcastd/internal/config"
)

// headerV1 is what a proxy says of a client at this address.
func headerV1(address string) string {
	return "PROXY TCP4 " + address + " 192.0.2.1 56324 443\r\n"
}

// headerV2 is the same in the second version; LOCAL is the proxy's own.
func headerV2(t testing.TB, address string, command proxyproto.ProtocolVersionAndCommand) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2,
		&net.TCPAddr{IP: net.ParseIP(address), Port: 56324}, &net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 443})
	h.Command = command
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// behindProxy has 127.0.0.1 as the proxy.
func behindProxy(c *config.Config) {
	c.TrustedProxies = []string{"127.0.0.1"}
	c.ProxyProtocol = true
	c.MaxConnectionsPerAddress = 1
}

// TestProxyProtocol counts by the header's address, and loses nothing of what
// comes right behind it.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	d := start(t, behindProxy)
	open := func(header string) *client {
		c := d.dial(t)
		ping := string(text(`{"event":"pusher:ping"}`))
		c.write([]byte(header + d.handshake(appTarget) + ping + ping))
		c.wantUpgrade()
		return c
	}
	pongs := func(c *client) {
		t.Helper()
		c.wantEstablished()
		c.want(`{"event":"pusher:pong","data":{}}`)
		c.want(`{"event":"pusher:pong","data":{}}`)
		c.fence()
	}
	first := open(headerV1("203.0.113.1"))
	pongs(first)
	pongs(open(headerV2(t, "203.0.113.2", proxyproto.PROXY)))
	open(headerV2(t, "203.0.113.1", proxyproto.PROXY)).wantRefusal()
	open(headerV1("203.0.113.2")).wantRefusal()
	for range 2 {
		pongs(open(headerV2(t, "203.0.113.1", proxyproto.LOCAL))) // the proxy's own
	}
	other := d.dial(t)
	other.write([]byte(headerV1("203.0.113.1") + "GET /up HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if res := other.response(); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a request of an address that has all it may: %s", res.Status)
	}
	_ = first.nc.Close()
	d.waitMetric(t, `broadcastd_connections{app="app-id"}`, 3)
	pongs(open(headerV1("203.0.113.1")))
}

// TestProxyProtocolRefuses: without a sound header, nothing that a proxy passes on
// is believed.
func TestProxyProtocolRefuses(t *testing.T) {
	t.Parallel()
	d := start(t, behindProxy)
	sent := map[string]string{
		"none":      "",
		"not TCP":   "PROXY TCP9 203.0.113.1 192.0.2.1 1 2\r\n",
		"no end":    "PROXY TCP4 203.0.113.1 192.0.2.1 1 2" + string(bytes.Repeat([]byte(" "), 100)),
		"version 3": "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x00",
		"short":     "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04\x7f\x00\x00\x01",
	}
	for name, header := range sent {
		t.Run(name, func(t *testing.T) {
			c := d.dial(t)
			c.write([]byte(header + d.handshake(appTarget)))
			c.wantCut()
		})
	}
	d.waitMetric(t, refusals("proxy_protocol"), float64(len(sent)))
	d.waitMetric(t, servedNow, 0)
}

// TestProxyProtocolWaitsForNobody: a proxy that says nothing holds nobody up, and
// goes after a while.
func TestProxyProtocolWaitsForNobody(t *testing.T) {
	t.Parallel()
	d := start(t, behindProxy, func(c *config.Config) { c.HandshakeTimeout = time.Hour })
	silent := d.dial(t)
	d.waitMetric(t, servedNow, 1)
	c := d.dial(t)
	c.write([]byte(headerV1("203.0.113.1") + d.handshake(appTarget)))
	c.wantUpgrade()
	c.wantEstablished()
	d.waitMetric(t, servedNow, 2) // the silent one is there all the while
	_ = silent.nc.Close()

	hasty := start(t, behindProxy, func(c *config.Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	for _, sent := range []string{"", "PROX", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00"} {
		c := hasty.dial(t)
		c.write([]byte(sent))
		c.wantCut()
	}
	hasty.waitMetric(t, servedNow, 0)
}

// TestProxyProtocolBeforeTLS: a proxy that passes TLS on is believed as well, its
// clients are counted apart, told when they are too many, and given back.
func TestProxyProtocolBeforeTLS(t *testing.T) {
	t.Parallel()
	files, cert := certify(t, t.TempDir())
	d := start(t, behindProxy, func(c *config.Config) { c.TLS = files })
	ctx := within(t, patience)
	hears := func(address, want string) *websocket.Conn {
		t.Helper()
		web := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   trusting(cert),
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err == nil {
					_, err = io.WriteString(conn, headerV1(address))
				}
				return conn, err
			},
		}}
		ws, _, err := websocket.Dial(ctx, "wss://"+d.Addr().String()+appTarget, &websocket.DialOptions{HTTPClient: web})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.CloseNow() })
		if _, text, err := ws.Read(ctx); err != nil || !bytes.Contains(text, []byte(want)) {
			t.Fatalf("%s got %s, %v, want %s", address, text, err, want)
		}
		return ws
	}
	first := hears("203.0.113.1", "pusher:connection_established")
	hears("203.0.113.2", "pusher:connection_established")
	_ = hears("203.0.113.1", "4100").CloseNow()
	_ = first.CloseNow()
	d.waitMetric(t, servedNow, 1)
	d.waitMetric(t, refusedNow, 0)
	hears("203.0.113.1", "pusher:connection_established")
	if err := d.stop(ctx); err != nil {
		t.Error(err)
	}
	d.waitMetric(t, servedNow, 0)
	if n := d.Addresses(); n != 0 {
		t.Errorf("%d addresses are still counted", n)
	}
}
