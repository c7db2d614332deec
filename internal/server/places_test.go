package server_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"broadcastd/internal/config"
)

const (
	visitors   = 8
	visitSteps = 60
	mostEver   = 12 // connections that are served
)

// TestNoPlaceIsLost lets clients come and go in every way while the limits
// change. In the end, of those who left or of the daemon, nothing is counted.
func TestNoPlaceIsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		proxied, shutdown := seed%2 == 1, seed%3 == 2
		t.Run(fmt.Sprintf("%d, PROXY protocol: %v, shutdown: %v", seed, proxied, shutdown), func(t *testing.T) {
			t.Parallel()
			limit := func(c *config.Config) {
				c.MaxConnections, c.MaxConnectionsPerAddress = mostEver, 3
				c.TrustedProxies, c.ProxyProtocol = []string{"127.0.0.1"}, proxied
				c.HandshakeTimeout = soon
				c.App.MaxConnections = mostEver - 3
				c.App.PingInterval, c.App.PongTimeout = soon, soon
			}
			d := start(t, limit)
			var all sync.WaitGroup
			visited := make([]*visitor, visitors)
			for i := range visited {
				v := &visitor{d: d, rng: rand.New(rand.NewPCG(seed, uint64(i))), proxied: proxied}
				v.change = func() error {
					cfg := appConfig()
					limit(&cfg)
					cfg.MaxConnections = 1 + v.rng.IntN(mostEver)
					cfg.MaxConnectionsPerAddress = v.rng.IntN(4)
					if v.rng.IntN(3) == 0 { // one address is no client's then
						cfg.TrustedProxies = append(cfg.TrustedProxies, "203.0.113.3")
					}
					return d.SetLimits(&cfg)
				}
				visited[i] = v
				all.Go(func() { v.visit(inGoroutine{t}) })
			}
			all.Wait()
			for _, name := range []string{`broadcastd_connections_total{app="app-id"}`, refusals("over_total"), refusals("over_address"), refusals("app_not_found")} {
				if d.metric(t, name) == 0 {
					t.Errorf("%s is 0: did the visitors do what they should?", name)
				}
			}
			if shutdown {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := d.stop(ctx); err != nil {
					t.Error(err)
				}
			}
			for _, v := range visited {
				for len(v.here) > 0 {
					v.leave()
				}
			}
			for _, name := range []string{servedNow, refusedNow, `broadcastd_connections{app="app-id"}`} {
				d.waitMetric(t, name, 0)
			}
			if n := d.Addresses(); n != 0 {
				t.Errorf("%d addresses are still counted", n)
			}
		})
	}
}

// visitor opens connections, of which some are here for a while.
type visitor struct {
	d       *daemon
	rng     *rand.Rand
	proxied bool
	change  func() error
	here    []*net.TCPConn
}

func (v *visitor) visit(t testing.TB) {
	t.Helper()
	for range visitSteps {
		if v.rng.IntN(10) == 0 {
			if err := v.change(); err != nil {
				t.Fatal(err)
			}
		}
		if len(v.here) > 2 {
			v.leave()
		}
		v.come(t)
		if n := v.d.metric(t, servedNow); n > mostEver {
			t.Fatalf("%v connections are served, of %d", n, mostEver)
		}
	}
}

// come opens a connection and does something with it.
func (v *visitor) come(t testing.TB) {
	t.Helper()
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(t.Context(), "tcp", v.d.Addr().String())
	if err != nil {
		return // cut at once
	}
	nc := conn.(*net.TCPConn)
	v.here = append(v.here, nc)
	_ = nc.SetDeadline(time.Now().Add(patience)) // as all errors here: it may have been cut
	address := fmt.Sprintf("203.0.113.%d", v.rng.IntN(4))
	if v.proxied {
		_, _ = nc.Write([]byte(v.header(t, address)))
	}
	handshake := func(target string) string { return v.d.handshake(target, "X-Forwarded-For: "+address) }
	answers := 1
	switch sent := handshake(appTarget); v.rng.IntN(10) {
	case 0: // nothing
		return
	case 1: // half of it
		_, _ = nc.Write([]byte(sent[:v.rng.IntN(len(sent))]))
		return
	case 2: // doesn't listen
		_, _ = nc.Write([]byte(sent))
		return
	case 3:
		_, _ = nc.Write([]byte(handshake("/app/other?protocol=7")))
	case 4: // fails first
		_, _ = nc.Write([]byte(strings.Replace(sent, "Sec-WebSocket-Key", "X-Key", 1) + sent))
		answers = 2
	case 5:
		_, _ = nc.Write([]byte("GET /up HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: " + address + "\r\n\r\n"))
	case 6:
		_, _ = nc.Write([]byte("garbage\r\n\r\n"))
	default:
		_, _ = nc.Write([]byte(sent))
	}
	r := bufio.NewReader(nc)
	for range answers {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return
		}
		_ = res.Body.Close()
	}
}

// header is what the proxy says, if it does.
func (v *visitor) header(t testing.TB, address string) string {
	t.Helper()
	switch v.rng.IntN(6) {
	case 0:
		return ""
	case 1:
		return "PROXY nonsense\r\n"
	case 2:
		return headerV2(t, address, proxyproto.PROXY)
	case 3:
		return headerV2(t, address, proxyproto.LOCAL)
	default:
		return headerV1(address)
	}
}

// leave ends the connection that is here longest, in one way or another.
func (v *visitor) leave() {
	nc := v.here[0]
	v.here = v.here[1:]
	switch v.rng.IntN(4) {
	case 0:
		_, _ = nc.Write(closeFrame(1000, ""))
	case 1:
		_ = nc.CloseWrite()
	case 2:
		_ = nc.SetLinger(0) // it resets
	}
	_ = nc.Close()
}
