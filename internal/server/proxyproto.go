package server

import (
	"net"
	"sync"
	"syscall"

	"github.com/pires/go-proxyproto"

	"broadcastd/protocol"
)

// noHeader is for a proxy that doesn't do what proxy_protocol says.
var noHeader = &refusal{"proxy_protocol", protocol.CloseUnauthorized,
	"a connection from trusted_proxies began without a sound PROXY header (key proxy_protocol)"}

// proxiedConn begins with a PROXY header, which says whose it is. Whoever first
// asks for that, or reads, waits for the header: net/http in the connection's
// own goroutine.
type proxiedConn struct {
	*proxyproto.Conn
	held   *heldConn
	server *Server
	once   sync.Once
}

func (s *Server) newProxied(held *heldConn) *proxiedConn {
	return &proxiedConn{
		Conn: proxyproto.NewConn(held,
			proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(s.cfg.HandshakeTimeout)),
		held: held, server: s,
	}
}

// RemoteAddr is the client's. It is the first thing that net/http asks for.
func (c *proxiedConn) RemoteAddr() net.Addr {
	addr := c.Conn.RemoteAddr()
	c.once.Do(func() {
		switch {
		case c.ProxyHeader() == nil:
			c.server.note(noHeader) // reading fails
		case !c.held.place.learn(parseAddress(addr.String())):
			c.server.cut(c.held)
		}
	})
	return addr
}

// SyscallConn is for who takes the descriptor over. The library has read the
// header with a buffer smaller than that of net/http, whose first read has
// emptied it.
func (c *proxiedConn) SyscallConn() (syscall.RawConn, error) { return c.held.SyscallConn() }

func (c *proxiedConn) CloseWrite() error { return c.held.CloseWrite() }

func (c *proxiedConn) placeIn() *place { return c.held.place }
