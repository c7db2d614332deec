package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"broadcastd/internal/socket"
	"broadcastd/protocol"
)

// session is one client from handshake to end.
type session struct {
	// Static after construction.
	server  *Server
	app     *app
	conn    *socket.Conn
	place   *place
	limiter *rate.Limiter // of all messages; nil: no limit
	// whispers limits client events; made with the first. Owned by Message.
	whispers *rate.Limiter
	// credentials are the handshake's headers that the API may see; nil if the
	// client brought nothing to be recognised by.
	credentials http.Header
	proof       *proof // nil: the API is not asked again
	leave       func() // gives up the connection's place in the cluster; nil: there is none

	mu            sync.Mutex // guards the following
	subscriptions map[string]*subscription
	asking        int           // pending subscriptions
	user          *user         // nil: not signed in
	appearances   *rate.Limiter // of joined presence channels; made with the first
	ended         bool
}

// subscription is a channel that the client is in or, while pending, has asked
// the API for, or waits for the cluster to let it in.
type subscription struct {
	member  *protocol.Member
	pending bool
	asks    bool   // the API
	leave   func() // ends the question, or gives up the place in the cluster
	check   *check // by which the API is asked again; nil: it is not
}

func newSession(s *Server, a *app, conn *socket.Conn, r *http.Request, leave func()) *session {
	ses := &session{server: s, app: a, conn: conn, place: placeOf(r), leave: leave}
	if l := a.settings().RateLimiting; l.Enabled {
		ses.limiter = rate.NewLimiter(rate.Every(l.Decay/time.Duration(l.MaxAttempts)), l.MaxAttempts)
	}
	if s.api != nil {
		ses.credentials = s.credentialsOf(a, r)
	}
	ses.proof = s.again.proofOf(conn.SocketID())
	return ses
}

// Message handles what a client sent. A bug in that ends this client's
// connection rather than everybody's.
func (ses *session) Message(text []byte) {
	defer ses.server.recovered(placeMessage, ses.broken)
	if ses.server.cfg.Debug {
		ses.server.traceIn(ses.conn.SocketID(), text)
	}
	if ses.limiter != nil && !ses.limiter.Allow() {
		ses.fail(protocol.CodeClientEvent, "rate limit exceeded")
		if ses.app.settings().RateLimiting.TerminateOnLimit {
			ses.conn.Close(socket.ReasonRateLimit)
		}
		return
	}
	m, err := protocol.ParseMessage(text)
	if err != nil {
		ses.fail(protocol.CodeInvalidMessage, err.Error())
		return
	}
	switch {
	case m.Event == "pusher:ping":
		ses.conn.Send(pong)
	case m.Event == "pusher:pong":
		// Any message was a sign of life already.
	case m.Event == "pusher:subscribe":
		ses.subscribe(m.Data)
	case m.Event == "pusher:unsubscribe":
		ses.unsubscribe(m.Data)
	case m.Event == "pusher:signin":
		ses.signin(m.Data)
	case protocol.IsClientEvent(m.Event):
		ses.clientEvent(m)
	default:
		ses.fail(protocol.CodeInvalidMessage, fmt.Sprintf(
			"event %.60q is not understood; clients send pusher:subscribe, pusher:unsubscribe, pusher:signin, pusher:ping, pusher:pong and client-*", m.Event))
	}
}

// broken ends the connection after a bug.
func (ses *session) broken() { ses.conn.Close(socket.ReasonInternal) }

var pong = protocol.Pong()

func (ses *session) fail(code protocol.CloseCode, text string) {
	ses.conn.Send(protocol.Error(code, text))
}

// clientEvent publishes a whisper to the channel's other subscribers.
func (ses *session) clientEvent(m protocol.Message) {
	kind := protocol.KindOf(m.Channel)
	app := ses.app.settings()
	from := app.AcceptClientEventsFrom
	member, joined := ses.memberOf(m.Channel)
	switch {
	case kind == protocol.User:
		ses.fail(protocol.CodeClientEvent, "client events cannot be sent to a user's channel")
		return
	case from == clientEventsNone:
		ses.fail(protocol.CodeClientEvent, "the app accepts no client events (accept_client_events_from: none)")
		return
	case kind.IsEncrypted():
		ses.fail(protocol.CodeClientEvent, "client events cannot be sent to encrypted channels")
		return
	case !kind.NeedsAuth() && from != clientEventsAll:
		ses.fail(protocol.CodeClientEvent, "client events can only be sent to private and presence channels")
		return
	case !joined:
		ses.fail(protocol.CloseUnauthorized, fmt.Sprintf("client event %.60q: not subscribed to channel %.60q", m.Event, m.Channel))
		return
	}
	e := protocol.Event{Channel: m.Channel, Name: m.Event, Data: m.Data, Except: ses.conn.SocketID()}
	if len(e.Data) == 0 {
		e.Data = json.RawMessage("null")
	}
	if member != nil {
		e.UserID = member.UserID
	}
	if err := e.Check(); err != nil {
		ses.fail(protocol.CodeClientEvent, err.Error())
		return
	}
	if !ses.mayWhisper(app.MaxClientEvents) {
		ses.fail(protocol.CodeClientEvent, fmt.Sprintf("more than %d client events a second", app.MaxClientEvents))
		return
	}
	if len(e.Data) > app.MaxEventSize {
		ses.fail(protocol.CodeClientEvent, fmt.Sprintf("client event data is %d bytes, the limit is %d", len(e.Data), app.MaxEventSize))
		return
	}
	ses.whisper(&e)
}

// mayWhisper counts a client event against the app's limit.
func (ses *session) mayWhisper(limit int) bool {
	if limit == 0 {
		return true
	}
	if ses.whispers == nil || ses.whispers.Burst() != limit {
		ses.whispers = rate.NewLimiter(rate.Limit(limit), limit)
	}
	return ses.whispers.Allow()
}

// memberOf tells whether the client is in a channel, or may be and waits for the
// cluster, and as whom if it is a presence channel.
func (ses *session) memberOf(channel string) (member *protocol.Member, joined bool) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	sub := ses.subscriptions[channel]
	if sub == nil || sub.asks {
		return nil, false
	}
	return sub.member, true
}

// End takes the client out of everything.
func (ses *session) End(reason *socket.Reason) {
	defer ses.server.sessions.Done()
	defer ses.server.recovered(placeEnd, func() {}) // nothing of it is left but what it held
	ses.server.metrics.disconnections.WithLabelValues(reason.Label).Inc()
	ses.app.depart(ses.leave)
	ses.place.drop()
	ses.server.again.forget(ses.conn.SocketID())
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.ended = true
	ses.signout()
	for channel, sub := range ses.subscriptions {
		ses.drop(channel, sub)
	}
	ses.subscriptions = nil
}
