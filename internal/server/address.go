package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the networks whose word on a client's address counts.
type proxies []netip.Prefix

func (p proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// client is whose request it is that peer has passed on: of X-Forwarded-For the
// last address that is no proxy's, since everything before it anybody may have
// written. If an address that counts can't be read it is the peer's.
func (p proxies) client(peer netip.Addr, header http.Header) netip.Addr {
	said := strings.Split(strings.Join(header.Values("X-Forwarded-For"), ","), ",")
	client := peer
	for _, text := range slices.Backward(said) {
		if !p.trust(client) {
			break
		}
		if client = parseAddress(strings.TrimSpace(text)); !client.IsValid() {
			return peer
		}
	}
	return client
}

// parseAddress reads an address, with or without a port. What is none gives the
// zero Addr.
func parseAddress(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if withPort, errPort := netip.ParseAddrPort(text); errPort == nil {
		addr, err = withPort.Addr(), nil
	}
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// shared is what counts as one address: an IPv6 client has a whole /64 network
// to take addresses from.
func shared(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	network, _ := addr.Prefix(64) // it has 128 bits
	return network.Addr()
}
