package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"

	"broadcastd/internal/config"
)

// localHost is how a listener on this machine is reached.
func localHost(host string) string {
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

type dial func(ctx context.Context, network, addr string) (net.Conn, error)

// localClient asks a server on this machine once, and never an HTTP proxy that the
// environment names: it would get to see the token.
func localClient(connect dial) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       connect,
		DisableKeepAlives: true,
		//nolint:gosec // The certificate is for another name, and nothing is said that a stranger may not hear.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// dialClients connects to where clients do. This machine's address is often one of
// trusted_proxies, from which a PROXY header has to come first.
func dialClients(cfg *config.Config) dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil || !cfg.ProxyProtocol || !isProxy(cfg, conn.LocalAddr()) {
			return conn, err
		}
		if _, err := io.WriteString(conn, "PROXY UNKNOWN\r\n"); err != nil {
			_ = conn.Close() // the error is known
			return nil, err
		}
		return conn, nil
	}
}

func isProxy(cfg *config.Config, addr net.Addr) bool {
	own, err := netip.ParseAddrPort(addr.String())
	return err == nil && slices.ContainsFunc(cfg.TrustedProxies, func(text string) bool {
		network, err := config.ParseNetwork(text)
		return err == nil && network.Contains(own.Addr().Unmap())
	})
}
