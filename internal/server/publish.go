package server

import (
	"errors"
	"time"

	"broadcastd/protocol"
)

// Source is where an event came from, as metrics name it.
type Source string

// The sources of events.
const (
	SourceRedis  Source = "redis"
	SourceHTTP   Source = "http"
	SourceClient Source = "client"
	// SourceStream is an API that adds to the log in Redis by itself.
	SourceStream Source = "stream"
)

// ErrUnknownApp means that no app has the id.
var ErrUnknownApp = errors.New("no app has this id")

// Publish delivers an event of an app to the channel's subscribers here, and to no
// other node's. It waits only while the daemon is far behind; then the source has
// to.
func (s *Server) Publish(source Source, appID string, e protocol.Event) (err error) {
	defer s.recovered(placeEvent, func() { err = errPanicked })
	received := time.Now()
	a := s.app(appID)
	if a == nil {
		return ErrUnknownApp
	}
	if err := e.Check(); err != nil {
		return err
	}
	s.publish(source, a, &e, received)
	a.kept(&e)
	return nil
}

// MaxEventSize is how large an event's data may be, in bytes; 0 for an app that
// isn't served.
func (s *Server) MaxEventSize(appID string) int {
	if a := s.app(appID); a != nil {
		return a.settings().MaxEventSize
	}
	return 0
}

// checkPlain tells once of an app that sends readable events to encrypted
// channels: clients throw them away, and who expected secrecy has none.
func (s *Server) checkPlain(source Source, a *app, e *protocol.Event) {
	if !protocol.KindOf(e.Channel).IsEncrypted() || protocol.LooksEncrypted(e.Data) {
		return
	}
	a.sources[source].plain.Inc()
	if a.plain.CompareAndSwap(false, true) {
		s.log.Warn("an event for an encrypted channel is not encrypted (Laravel's redis driver doesn't; its reverb and pusher drivers do); further ones are only counted",
			"app", a.id, "source", string(source))
	}
}

// publish needs an event that passed its check.
func (s *Server) publish(source Source, a *app, e *protocol.Event, received time.Time) {
	if source != SourceClient { // who reads for many clients waits by itself
		s.flushers.Wait()
	}
	s.checkPlain(source, a, e)
	if s.deliver(a, e, received) == 0 {
		a.sources[source].unheard.Inc()
	}
	a.sources[source].events.Inc()
}

// deliver hands an event to the channel's subscribers on this node, and tells how
// many they are.
func (s *Server) deliver(a *app, e *protocol.Event, received time.Time) int {
	n := a.hub.Publish(e, received)
	s.flushers.Attend(n)
	return n
}
