package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// listen takes the listeners that the process was given, and binds the others.
func (s *Server) listen(o Options) error {
	public, err := s.inheritOrBind(o.Public, net.JoinHostPort(o.Config.Host, strconv.Itoa(o.Config.Port)))
	if err != nil {
		return fmt.Errorf("listening for clients (keys host and port): %w", err)
	}
	s.listener = &front{Listener: public, inherited: o.Public != nil}
	if o.Config.Admin.Listen == "" && o.Admin == nil {
		return nil
	}
	if s.adminLine, err = s.inheritOrBind(o.Admin, o.Config.Admin.Listen); err != nil {
		return fmt.Errorf("listening for metrics and health (key admin.listen; empty switches it off): %w", err)
	}
	if o.Admin != nil && o.Config.Admin.Token == "" && !isPrivate(o.Admin.Addr()) {
		return fmt.Errorf("the socket admin, which this process was given, can be reached from other machines at %s; set admin.token, which they must send, or have it listen on 127.0.0.1", o.Admin.Addr())
	}
	return nil
}

// isPrivate reports whether a given listener, which validation hasn't seen, is for
// this machine's own programs.
func isPrivate(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback() // others are files, which have owners
}

func (s *Server) inheritOrBind(given net.Listener, addr string) (net.Listener, error) {
	if given == nil {
		c := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return errors.Join(boundSending(c), s.sharePort(c))
		}}
		return c.Listen(context.Background(), "tcp", addr)
	}
	if socket, ok := given.(syscall.Conn); ok {
		c, err := socket.SyscallConn()
		if err == nil {
			err = boundSending(c)
		}
		if err != nil {
			return nil, err
		}
	}
	return given, nil
}

func (s *Server) sharePort(c syscall.RawConn) error {
	if s.cfg.ReusePort {
		return sharePort(c)
	}
	return nil
}

// front is the clients' listener. Its end refuses nobody who came before: Linux
// would reset those whom nobody has accepted.
type front struct {
	net.Listener
	// inherited is a socket that others have too: who waits there is served by the
	// process that comes next.
	inherited bool
	ended     atomic.Bool
}

// stop has Accept give what waits, and then end.
func (f *front) stop() {
	f.ended.Store(true)
	if l, ok := f.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = l.SetDeadline(time.Unix(1, 0)) // only a closed one can't
		return
	}
	_ = f.Close() // Accept tells
}

// Accept gives in the end the error with which net/http ends in an orderly way.
func (f *front) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err == nil || !f.ended.Load() {
		return conn, err
	}
	if !f.inherited {
		if conn := acceptWaiting(f.Listener); conn != nil {
			return conn, nil
		}
	}
	_ = f.Close() // it takes nobody any more
	return nil, http.ErrServerClosed
}
