package server

import (
	"encoding/json"
	"errors"
	"fmt"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/protocol"
)

// user is who a client has signed in as.
type user struct {
	id        string
	watchlist []string
	leave     func() // gives up the place in the cluster; nil: there is none
}

// signin handles pusher:signin: user_data is signed by the API, and says who
// the client is.
func (ses *session) signin(data json.RawMessage) {
	req, err := protocol.ParseSignin(data)
	if err != nil {
		ses.fail(protocol.CodeInvalidMessage, "pusher:signin: "+err.Error())
		return
	}
	app := ses.app.credentials()
	err = auth.VerifyUser(req.Auth, app.Key, app.Secret, ses.conn.SocketID(), req.UserData)
	if err != nil {
		no := refusalOf(err)
		ses.server.metrics.refusedSignins.WithLabelValues(no.Reason).Inc()
		ses.fail(protocol.CloseUnauthorized, "pusher:signin: "+no.Message)
		return
	}
	u, cut, err := parseUser(req.UserData)
	if err != nil {
		ses.server.metrics.refusedSignins.WithLabelValues("user_data").Inc()
		ses.fail(protocol.CloseUnauthorized, "pusher:signin: "+err.Error())
		return
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	switch {
	case ses.ended:
		return
	case ses.user != nil:
		ses.fail(protocol.CloseUnauthorized, "pusher:signin: the connection is signed in already")
		return
	}
	ses.user = u
	ses.app.present.add(u.id, ses)
	ses.conn.Send(protocol.SigninSuccess(req.UserData))
	ses.enterUser(u)
	if cut {
		ses.fail(protocol.CodeWatchlist, fmt.Sprintf("the watchlist has more than %d users; the rest is not watched", channels.MaxWatchlist))
	}
}

// parseUser reads user_data: {"id": string, "watchlist"?: [string], ...}.
func parseUser(text string) (u *user, cut bool, err error) {
	var data map[string]json.RawMessage // a struct would take "ID" too
	u = new(user)
	var watchlist []string
	err = errors.Join(json.Unmarshal([]byte(text), &data), decodeField(data, "id", &u.id), decodeField(data, "watchlist", &watchlist))
	if err != nil {
		return nil, false, fmt.Errorf(`user_data is not JSON of the form {"id", "watchlist"}`)
	}
	if err := protocol.CheckUserID(u.id); err != nil {
		return nil, false, fmt.Errorf("the id in user_data %w", err)
	}
	u.watchlist, cut = channels.Watchlist(watchlist)
	return u, cut, nil
}

// decodeField decodes one field of an object, if it is there.
func decodeField(object map[string]json.RawMessage, name string, into any) error {
	if text, ok := object[name]; ok {
		return json.Unmarshal(text, into)
	}
	return nil
}

// signout needs ses.mu.
func (ses *session) signout() {
	if ses.user == nil {
		return
	}
	ses.exitUser(ses.user)
	ses.app.present.remove(ses.user.id, ses)
	ses.user = nil
}
