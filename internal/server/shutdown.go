package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"broadcastd/auth"
	"broadcastd/internal/socket"
	"broadcastd/protocol"
)

const (
	// acceptedTime is what a client that has just connected has for its request:
	// net/http drops those that come once its own shutdown has begun.
	acceptedTime = 100 * time.Millisecond
	// secureTime is the same with TLS, whose handshake comes before the request.
	secureTime = 500 * time.Millisecond
	// requestTime is what HTTP requests under way get at shutdown, before
	// clients are told to go: they may still publish.
	requestTime = time.Second
	// killTime is what Shutdown keeps of its time for cutting off clients that
	// didn't go by themselves.
	killTime = 500 * time.Millisecond
)

// spreadPause is between two parts of the clients that are sent away.
const spreadPause = 50 * time.Millisecond

// ShutdownTimeout is how long the end may take.
func (s *Server) ShutdownTimeout() time.Duration { return s.config().ShutdownTimeout }

// Drain says that the server is not ready, and goes on for shutdown_delay. Then it
// stops accepting, lets those in who have connected, waits for the HTTP requests under way, and sends clients away
// over shutdown_spread. Those who are left hear everything, until Shutdown. A second
// time it does nothing. The end of ctx cuts all of it short.
func (s *Server) Drain(ctx context.Context) error {
	if s.leavingSoon.Swap(true) {
		return nil
	}
	c := s.config()
	pause(ctx, c.ShutdownDelay)
	s.listener.stop()
	if s.certs == nil {
		pause(ctx, acceptedTime)
	} else {
		pause(ctx, secureTime)
	}
	_ = s.listener.Close() // unless Accept did, or nobody called it
	s.closeMu.Lock()
	s.draining.Store(true)
	s.closeMu.Unlock()
	err := s.endRequests(ctx)

	parts := uint16(min(c.ShutdownSpread/spreadPause, math.MaxUint16))
	for part := range parts {
		if ctx.Err() != nil {
			break
		}
		s.flushers.CloseShare(s.goodbye(), part, parts)
		pause(ctx, spreadPause)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// endRequests waits for the HTTP requests under way.
func (s *Server) endRequests(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if s.public.Shutdown(ctx) != nil { // it also waits for those who connected and asked nothing
		if n := s.underWay.Load(); n > 0 {
			err = fmt.Errorf("%d HTTP requests still under way were cut off", n)
		}
		_ = s.public.Close() // cuts them off
	}
	return err
}

// goodbye is what clients are told at the end.
func (s *Server) goodbye() *socket.Reason {
	return &socket.Reason{
		Label: socket.ReasonShutdown.Label,
		Code:  protocol.CloseCode(s.config().ShutdownCloseCode),
		Text:  socket.ReasonShutdown.Text,
	}
}

// Shutdown drains, tells clients to reconnect, lets what was sent to them be
// written and webhooks be told, and ends within ctx's deadline.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.Close()
	err := s.Drain(ctx)
	s.cancel()
	s.flushers.CloseAll(s.goodbye())
	gone := make(chan struct{})
	go func() { s.sessions.Wait(); close(gone) }()
	gently, cancel := beforeDeadline(ctx)
	defer cancel()
	select {
	case <-gone:
	case <-gently.Done():
		err = errors.Join(err, errors.New("clients that did not go by themselves were cut off"))
	}
	s.closeSessions()
	err = errors.Join(err, s.leaveClusters(ctx))
	return errors.Join(err, s.endWebhooks(ctx))
}

// beforeDeadline ends earlier than ctx, by killTime or a quarter of what is
// left.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if t, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, t.Add(-min(killTime, time.Until(t)/4)))
	}
	return context.WithCancel(ctx)
}

// enter counts a session that begins, unless the server is ending: Shutdown
// waits for those that are there.
func (s *Server) enter() bool {
	s.closeMu.Lock()
	defer s.closeMu.Unlock()
	if s.closed || s.draining.Load() {
		return false
	}
	s.sessions.Add(1)
	return true
}

// Close ends everything at once. A second time it does nothing.
func (s *Server) Close() {
	s.closeSessions()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.leaveClusters(ended) // the others find out by themselves
	_ = s.endWebhooks(ended)   // it has logged what is lost
	for _, api := range []*auth.API{s.api, s.userAPI} {
		if api != nil {
			api.Close()
		}
	}
}

// closeSessions ends what comes in, clients and HTTP requests, at once. A
// second time it does nothing.
func (s *Server) closeSessions() {
	s.closeMu.Lock()
	again := s.closed
	s.closed = true
	s.closeMu.Unlock()
	if again {
		return
	}
	s.reloading.Lock() // from now on the apps stay what they are
	s.cancel()
	s.reloading.Unlock()
	for _, h := range []*http.Server{s.public, s.admin} {
		if h != nil {
			_ = h.Close() // nothing under way matters any more
		}
	}
	if s.listener != nil {
		_ = s.listener.Close() // Drain may have closed it
	}
	if s.adminLine != nil {
		_ = s.adminLine.Close() // its server may have closed it
	}
	if s.flushers != nil {
		s.flushers.KillAll(s.goodbye())
		s.sessions.Wait()
		s.flushers.Stop()
	}
}
