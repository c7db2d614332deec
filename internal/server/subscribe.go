package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/time/rate"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// The errors' type in pusher:subscription_error: pusher-js knows AuthError.
const (
	typeAuth    = "AuthError"
	typeInvalid = "InvalidError"
	typeLimit   = "LimitReached"
)

// subscribe handles pusher:subscribe.
func (ses *session) subscribe(data json.RawMessage) {
	req, err := protocol.ParseSubscribe(data)
	switch kind := protocol.KindOf(req.Channel); {
	case err != nil && req.Channel == "":
		ses.fail(protocol.CodeInvalidMessage, "pusher:subscribe: "+err.Error())
	case err != nil:
		ses.refuse(req.Channel, "bad_channel", typeInvalid, http.StatusBadRequest, err.Error())
	case kind == protocol.User && !ses.isUser(req.Channel[len(protocol.ServerToUser):]):
		ses.refuse(req.Channel, "not_signed_in", typeAuth, http.StatusForbidden, "a user's channel is for connections that signed in as that user (pusher:signin)")
	case kind == protocol.User:
		ses.join(req.Channel)
	case !kind.NeedsAuth():
		ses.join(req.Channel)
	case req.Auth != "":
		ses.subscribeSigned(req)
	case kind.IsEncrypted():
		ses.refuse(req.Channel, "unsigned", typeAuth, http.StatusUnauthorized,
			"an encrypted channel's key only comes with a signature; have the client ask the API's auth endpoint first")
	case ses.server.api == nil:
		ses.refuse(req.Channel, "unsigned", typeAuth, http.StatusUnauthorized,
			"the subscription is not signed, and the server has no auth.endpoint to ask")
	case ses.credentials == nil:
		ses.refuse(req.Channel, "unsigned", typeAuth, http.StatusUnauthorized,
			"the subscription is not signed, and the connection brought no credentials with which the API could be asked")
	default:
		ses.ask(req.Channel)
	}
}

func (ses *session) subscribeSigned(req protocol.Subscribe) {
	app := ses.app.credentials()
	err := auth.VerifyChannel(req.Auth, app.Key, app.Secret, ses.conn.SocketID(), req.Channel, req.ChannelData)
	if err != nil {
		no := refusalOf(err)
		ses.refuse(req.Channel, no.Reason, typeAuth, no.Status, no.Message)
		return
	}
	member, err := ses.app.memberFor(req.Channel, req.ChannelData)
	if err != nil {
		ses.refuse(req.Channel, "channel_data", typeAuth, http.StatusBadRequest, err.Error())
		return
	}
	ses.joinSigned(req.Channel, member)
}

// joinSigned is join with a signature, which may have outlived the right. If the
// API granted the client channels at the server's own endpoint, it is asked again
// about this one too.
func (ses *session) joinSigned(channel string, member *protocol.Member) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.proof != nil && ses.proof.isRevoked(channel) {
		ses.refuse(channel, "revoked", typeAuth, http.StatusForbidden,
			"the API has ended this subscription; ask this server's auth endpoint again, or connect anew")
		return
	}
	sub := ses.joinLocked(channel, member)
	if sub != nil && ses.proof != nil && ses.proof.shown() != nil {
		ses.watch(channel, sub, false)
	}
}

// memberFor reads channel_data, signed or given by the API, where the channel
// has members; elsewhere it is nil.
func (a *app) memberFor(channel, channelData string) (*protocol.Member, error) {
	if !protocol.KindOf(channel).IsPresence() {
		return nil, nil
	}
	member, err := protocol.ParseMember(channelData)
	if limit := a.settings().MaxUserInfo; err == nil && limit > 0 && len(member.Info) > limit {
		return nil, fmt.Errorf("user_info in channel_data is %d bytes, the limit is %d", len(member.Info), limit)
	}
	return member, err
}

func (ses *session) join(channel string) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.joinLocked(channel, nil)
}

// joinLocked puts the client into a channel. A second time changes nothing,
// and is answered again. It returns the subscription if it is a new one. ses.mu
// must be held.
func (ses *session) joinLocked(channel string, member *protocol.Member) *subscription {
	if ses.ended {
		return nil
	}
	switch sub := ses.subscriptions[channel]; {
	case sub != nil && !sub.pending:
		ses.reenter(channel)
		return nil
	case sub != nil && !sub.asks:
		return nil // it will be answered
	case sub != nil: // the client has brought a signature meanwhile
		sub.leave()
		delete(ses.subscriptions, channel)
	}
	switch {
	case ses.full():
		ses.refuseFull(channel)
		return nil
	case member != nil && !ses.mayAppear(channel):
		ses.refuse(channel, "too_many", typeLimit, http.StatusTooManyRequests,
			fmt.Sprintf("the connection joins more than %d presence channels a second that have %d subscribers and more", appearances, crowd))
		return nil
	}
	if member != nil { // before the client hears that it is in
		ses.app.present.add(member.UserID, ses)
	}
	ses.enter(channel, &subscription{member: member})
	return ses.subscriptions[channel] // nil if there was no room
}

// refuseEntry is for a channel that has no room. ses.mu must be held.
func (ses *session) refuseEntry(channel string, sub *subscription, err error) {
	if sub.member != nil {
		ses.app.present.remove(sub.member.UserID, ses)
	}
	ses.unwatch(sub)
	delete(ses.subscriptions, channel)
	ses.refuse(channel, "full", typeLimit, http.StatusForbidden, err.Error())
}

// full reports whether the client is in as many channels as it may. ses.mu
// must be held.
func (ses *session) full() bool {
	max := ses.app.settings().MaxSubscriptions
	return max > 0 && len(ses.subscriptions) >= max
}

func (ses *session) refuseFull(channel string) {
	ses.refuse(channel, "too_many", typeLimit, http.StatusForbidden,
		fmt.Sprintf("the connection has %d subscriptions, and may not have more", len(ses.subscriptions)))
}

// A client that joins a presence channel, and one that leaves it, is told of to all
// its members. These bound how often a connection may have a crowd told: so many times
// at once, as after a reconnect, and then so many a second.
const (
	crowd             = 50 // subscribers on this node
	appearancesAtOnce = 100
	appearances       = 10
)

// mayAppear counts a presence channel that is joined, if it has a crowd. ses.mu must
// be held.
func (ses *session) mayAppear(channel string) bool {
	if ses.app.hub.Info(channel).Subscriptions < crowd {
		return true
	}
	if ses.appearances == nil {
		ses.appearances = rate.NewLimiter(appearances, appearancesAtOnce)
	}
	return ses.appearances.Allow()
}

// isUser reports whether the client has signed in as the user.
func (ses *session) isUser(id string) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.user != nil && ses.user.id == id
}

// put needs ses.mu.
func (ses *session) put(channel string, sub *subscription) {
	if ses.subscriptions == nil {
		ses.subscriptions = make(map[string]*subscription)
	}
	ses.subscriptions[channel] = sub
}

// maxAsking bounds the questions to the API that one connection has under way,
// so that it can't take the places of all others.
const maxAsking = 100

// ask lets the API decide. The connection's other messages go on meanwhile.
func (ses *session) ask(channel string) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	switch sub := ses.subscriptions[channel]; {
	case ses.ended:
		return
	case sub != nil && sub.pending:
		return // it will be answered
	case sub != nil:
		ses.reenter(channel)
		return
	case ses.full():
		ses.refuseFull(channel)
		return
	case ses.asking == maxAsking:
		ses.refuse(channel, "too_many", typeLimit, http.StatusTooManyRequests,
			"too many subscriptions of this connection wait for the API")
		return
	}
	ses.asking++
	ctx, cancel := context.WithCancel(ses.server.ctx)
	sub := &subscription{pending: true, asks: true, leave: cancel}
	ses.put(channel, sub)
	ses.server.sessions.Go(func() {
		defer ses.server.recovered(placeAuthorise, ses.broken)
		defer cancel()
		grant, err := ses.server.api.Authorize(ctx, ses.app.credentials(), auth.Request{
			SocketID: ses.conn.SocketID(), Channel: channel, Header: ses.credentials,
		})
		ses.answered(channel, sub, grant, err)
	})
}

// answered acts on what the API said, unless the client has left the channel
// or gone meanwhile.
func (ses *session) answered(channel string, sub *subscription, grant auth.Grant, err error) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.asking--
	if ses.subscriptions[channel] != sub {
		return
	}
	delete(ses.subscriptions, channel)
	if err != nil {
		no := refusalOf(err)
		// Canceled although nobody left: the server is ending, and the close
		// frame is all that the client has to hear.
		if no.Reason != auth.ReasonCanceled {
			ses.refuse(channel, no.Reason, typeAuth, no.Status, no.Message)
		}
		return
	}
	member, err := ses.app.memberFor(channel, grant.ChannelData)
	if err != nil {
		ses.refuse(channel, "channel_data", typeAuth, http.StatusBadGateway, err.Error())
		return
	}
	if ses.proof != nil {
		ses.proof.restore(channel)
	}
	if sub := ses.joinLocked(channel, member); sub != nil {
		ses.watch(channel, sub, true)
	}
}

// refusalOf is what package auth said, of whose errors every one is a no.
func refusalOf(err error) *auth.Refusal {
	if no, ok := errors.AsType[*auth.Refusal](err); ok {
		return no
	}
	return &auth.Refusal{Reason: "internal", Status: http.StatusInternalServerError, Message: "internal error"}
}

// unsubscribe handles pusher:unsubscribe, which has no answer.
func (ses *session) unsubscribe(data json.RawMessage) {
	req, err := protocol.ParseSubscribe(data)
	if err != nil {
		ses.fail(protocol.CodeInvalidMessage, "pusher:unsubscribe: "+err.Error())
		return
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if sub := ses.subscriptions[req.Channel]; sub != nil {
		ses.drop(req.Channel, sub)
		delete(ses.subscriptions, req.Channel)
	}
}

// drop needs ses.mu.
func (ses *session) drop(channel string, sub *subscription) {
	if sub.asks {
		sub.leave()
		return
	}
	ses.unwatch(sub)
	ses.exit(channel, sub)
	if sub.member != nil {
		ses.app.present.remove(sub.member.UserID, ses)
	}
}

func (ses *session) refuse(channel, reason, kind string, status int, text string) {
	ses.server.metrics.refusedSubscriptions.WithLabelValues(reason).Inc()
	ses.tellRefused(channel, kind, status, text)
}

func (ses *session) tellRefused(channel, kind string, status int, text string) {
	ses.conn.Send(protocol.SubscriptionError(channel, kind, text, status))
}
