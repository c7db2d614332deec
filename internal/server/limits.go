package server

import (
	"fmt"
	"math"
	"net/netip"
	"sync"

	"broadcastd/internal/config"
	"broadcastd/protocol"
)

const (
	// maxSpare is the number of connections over the limits that are kept to tell
	// them so; further ones are cut.
	maxSpare = 256
	// reserved are descriptors for Redis, webhooks, files, listeners, and
	// connections that are just being taken over or ended.
	reserved = 256
)

// Refusals of a connection that is one too many.
var (
	overTotal   = &refusal{"over_total", protocol.CloseOverCapacity, "the server has as many connections as it may (key max_connections)"}
	overAddress = &refusal{"over_address", protocol.CloseOverCapacity, "too many connections from one address (key max_connections_per_address)"}
)

// limits bound the connections of the clients' listener. They can be changed
// while it runs; connections that are there then stay.
type limits struct {
	mu            sync.Mutex // guards the following, and the places
	max           int
	perAddress    int // 0: no limit
	proxies       proxies
	proxyProtocol bool // the proxies begin with its header
	served, spare int
	addresses     map[netip.Addr]int // served ones by client
}

// set takes the limits from the configuration.
func (l *limits) set(c *config.Config) error {
	most, err := mostConnections(c, openFiles())
	if err != nil {
		return err
	}
	var proxies proxies
	for _, text := range c.TrustedProxies {
		network, err := config.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("trusted_proxies: %w", err)
		}
		proxies = append(proxies, network)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max, l.perAddress, l.proxies, l.proxyProtocol = most, c.MaxConnectionsPerAddress, proxies, c.ProxyProtocol
	return nil
}

// mostConnections is what the configuration asks for, or as much as leaves
// enough of the descriptors for all else.
func mostConnections(c *config.Config, descriptors int) (int, error) {
	if descriptors == math.MaxInt && c.MaxConnections == 0 {
		return descriptors, nil
	}
	most := max(descriptors-maxSpare-reserved-c.Auth.MaxConcurrent, descriptors/2)
	switch {
	case c.MaxConnections == 0:
		return most, nil
	case c.MaxConnections > most:
		return 0, fmt.Errorf("max_connections: %d is more than the limit of open files allows, %d of %d; raise that (ulimit -n, LimitNOFILE in systemd), or lower max_connections",
			c.MaxConnections, most, descriptors)
	}
	return c.MaxConnections, nil
}

// place is what a connection takes of the limits, from Accept until both the
// connection and the WebSocket that it became are gone. It is either among those
// that are served or a spare one.
type place struct {
	limits *limits

	// Guarded by limits.mu.
	address netip.Addr // the client's, which counts if served; zero: a proxy's, or not known
	holders int32
	served  bool
	claimed bool // the address is that of the WebSocket only, as a proxy said
}

// enter gives a new connection a place, or nil if there is none at all. proxied: it
// has to begin with a PROXY header, by which learn is told whose it is. peer may be
// unknown.
func (l *limits) enter(peer netip.Addr) (p *place, proxied bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	proxied = l.proxyProtocol && l.proxies.trust(peer)
	p = &place{limits: l, holders: 1, address: l.counted(peer)}
	switch {
	case p.serveLocked() == nil:
	case l.spare >= maxSpare:
		return nil, false
	default:
		l.spare++
	}
	return p, proxied
}

// counted is under what an address is counted; a proxy's isn't.
func (l *limits) counted(addr netip.Addr) netip.Addr {
	if l.proxies.trust(addr) {
		return netip.Addr{}
	}
	return shared(addr)
}

// full reports whether an address has all that it may.
func (l *limits) full(addr netip.Addr) bool {
	return addr.IsValid() && l.perAddress > 0 && l.addresses[addr] >= l.perAddress
}

func (l *limits) count(addr netip.Addr, n int) {
	if !addr.IsValid() {
		return
	}
	if l.addresses[addr] += n; l.addresses[addr] == 0 {
		delete(l.addresses, addr)
	}
}

// serve makes the place one of those that are served, if there is room by now.
func (p *place) serve() *refusal {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	if p.served {
		return nil
	}
	no := p.serveLocked()
	if no == nil {
		p.limits.spare--
	}
	return no
}

func (p *place) serveLocked() *refusal {
	l := p.limits
	switch {
	case l.served >= l.max:
		return overTotal
	case l.full(p.address):
		return overAddress
	}
	p.served = true
	l.served++
	l.count(p.address, 1)
	return nil
}

// learn tells whose the connection is, which is known only now. It reports
// whether the connection may stay.
func (p *place) learn(addr netip.Addr) bool {
	l := p.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.holders == 0 {
		return true // it was closed meanwhile
	}
	p.address = l.counted(addr)
	switch {
	case !p.served:
		return true
	case !l.full(p.address):
		l.count(p.address, 1)
		return true
	case l.spare >= maxSpare:
		p.address = netip.Addr{} // not counted
		return false
	}
	p.served = false
	l.served--
	l.spare++
	return true
}

// claim is for a WebSocket of this client, before hold.
func (p *place) claim(client netip.Addr) *refusal {
	if no := p.serve(); no != nil {
		return no
	}
	l := p.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.address.IsValid() { // it is counted under its own
		return nil
	}
	client = l.counted(client)
	if l.full(client) {
		return overAddress
	}
	p.address, p.claimed = client, true
	l.count(client, 1)
	return nil
}

// hold keeps the place until drop, also beyond the connection's end.
func (p *place) hold() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	p.holders++
}

// drop ends what hold and claim began.
func (p *place) drop() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	if p.claimed {
		p.limits.count(p.address, -1)
		p.address, p.claimed = netip.Addr{}, false
	}
	p.leaveLocked()
}

// leave is the connection's end.
func (p *place) leave() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	p.leaveLocked()
}

func (p *place) leaveLocked() {
	l := p.limits
	if p.holders--; p.holders > 0 {
		return
	}
	if !p.served {
		l.spare--
		return
	}
	l.served--
	l.count(p.address, -1)
}

// sizes are how many connections are served and spare now, and the most that
// may be served.
func (l *limits) sizes() (served, spare, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.served, l.spare, l.max
}
