package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/internal/socket"
	"broadcastd/protocol"
)

// user is who a client has signed in as.
type user struct {
	id        string
	watchlist []string
}

// signin handles pusher:signin: user_data is signed by the API, and says who
// the client is.
func (ses *session) signin(data json.RawMessage) {
	req, err := protocol.ParseSignin(data)
	if err != nil {
		ses.fail(protocol.CodeInvalidMessage, "pusher:signin: "+err.Error())
		return
	}
	err = auth.VerifyUser(req.Auth, ses.app.Key, ses.app.Secret, ses.conn.SocketID(), req.UserData)
	if err != nil {
		no := refusalOf(err)
		ses.server.metrics.refusedSubscriptions.WithLabelValues(no.Reason).Inc()
		ses.fail(protocol.CloseUnauthorized, "pusher:signin: "+no.Message)
		return
	}
	u, cut, err := parseUser(req.UserData)
	if err != nil {
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
	ses.app.users.Enter(ses.conn, u.id, u.watchlist)
	if cut {
		ses.fail(protocol.CodeWatchlist, fmt.Sprintf("the watchlist has more than %d users; the rest is not watched", channels.MaxWatchlist))
	}
}

// parseUser reads user_data: {"id": string, "watchlist"?: [string], ...}.
func parseUser(text string) (u *user, cut bool, err error) {
	var data map[string]json.RawMessage // a struct would take "ID" too
	u = new(user)
	var watchlist []string
	err = errors.Join(json.Unmarshal([]byte(text), &data), member(data, "id", &u.id), member(data, "watchlist", &watchlist))
	if err != nil {
		return nil, false, fmt.Errorf(`user_data is not JSON of the form {"id", "watchlist"}`)
	}
	if err := channels.CheckUserID(u.id); err != nil {
		return nil, false, fmt.Errorf("the id in user_data %w", err)
	}
	u.watchlist, cut = channels.Watchlist(watchlist)
	return u, cut, nil
}

// member decodes one member of an object, if it is there.
func member(object map[string]json.RawMessage, name string, into any) error {
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
	ses.app.users.Exit(ses.conn, ses.user.id, ses.user.watchlist)
	ses.app.present.remove(ses.user.id, ses)
	ses.user = nil
}

// presentUsers finds the sessions of a user, signed in or member of a presence
// channel: Pusher terminates the former, Reverb the latter.
type presentUsers struct {
	mu   sync.Mutex // guards byID
	byID map[string]map[*session]int
}

func (p *presentUsers) add(id string, ses *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = make(map[string]map[*session]int)
	}
	if p.byID[id] == nil {
		p.byID[id] = make(map[*session]int)
	}
	p.byID[id][ses]++
}

func (p *presentUsers) remove(id string, ses *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sessions := p.byID[id]
	if sessions[ses]--; sessions[ses] == 0 {
		delete(sessions, ses)
	}
	if len(sessions) == 0 {
		delete(p.byID, id)
	}
}

// terminate closes all of a user's connections.
func (p *presentUsers) terminate(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ses := range p.byID[id] {
		ses.conn.Close(socket.ReasonTerminated)
	}
}
