package auth

import (
	"context"
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"broadcastd/protocol"
)

// UserRequest is a client's wish to be signed in as the user that its headers
// tell of.
type UserRequest struct {
	SocketID protocol.SocketID
	// Header is the client's; what is not configured stays here.
	Header http.Header
}

// UserGrant tells who a client's user is. Its JSON is the reply that pusher-js
// expects of a user authentication endpoint, with status 200.
type UserGrant struct {
	Auth string `json:"auth"`
	// UserData is {"id", "user_info"?, "watchlist"?, ...} as JSON text, the id a
	// string, and what Auth signs.
	UserData string `json:"user_data"`
}

// AuthenticateUser asks who the client's user is and returns the signed
// answer. It waits as [API.Authorize] does. The error is a *[Refusal].
func (a *API) AuthenticateUser(ctx context.Context, app Credentials, req UserRequest) (UserGrant, error) {
	var grant UserGrant
	err := a.ask(ctx, req.question(), func(body []byte) (refusal *Refusal) {
		grant, refusal = req.grant(app, body)
		return refusal
	})
	return grant, err
}

func (r UserRequest) question() question {
	return question{kind: askUser, socketID: r.SocketID, header: r.Header}
}

// grant turns the body of a 200 reply into a signed answer, or says why it is
// none. Laravel's redis driver answers with the user itself, {"id", ...},
// its reverb and pusher drivers with {"auth", "user_data"}.
//
// A map, unlike a struct, tells "id" from "ID", as browsers do.
func (r UserRequest) grant(app Credentials, body []byte) (UserGrant, *Refusal) {
	var yes bool
	var user map[string]json.RawMessage
	switch {
	case json.Unmarshal(body, &yes) == nil && yes:
		return UserGrant{}, noUser("the API's reply is true, which does not say who the user is")
	case json.Unmarshal(body, &yes) == nil: // false or null
		return UserGrant{}, r.question().refusedBy(http.StatusForbidden)
	case !utf8.Valid(body):
		return UserGrant{}, unusable(ReasonBadReply, "the API's reply is not valid UTF-8")
	case json.Unmarshal(body, &user) != nil:
		return UserGrant{}, unusable(ReasonBadReply, r.question().describe(body))
	case isSet(user["auth"]):
		return r.passOn(app, user)
	}
	return r.sign(app, user)
}

// sign signs the API's answer on its behalf, with the id as a string.
func (r UserRequest) sign(app Credentials, user map[string]json.RawMessage) (UserGrant, *Refusal) {
	id, err := protocol.ParseUserID(user["id"])
	if err != nil {
		return UserGrant{}, noUser("id in the API's reply " + err.Error())
	}
	user["id"] = protocol.QuoteData([]byte(id))
	data, err := json.Marshal(user)
	if err != nil {
		return UserGrant{}, unusable(ReasonBadReply, "the API's reply cannot be encoded again")
	}
	return UserGrant{Auth: SignUser(app.Key, app.Secret, r.SocketID, string(data)), UserData: string(data)}, nil
}

// passOn checks an answer that the API signed, and leaves it as it is. An
// integer as id cannot be made a string any more, and pusher-js takes none.
func (r UserRequest) passOn(app Credentials, reply map[string]json.RawMessage) (UserGrant, *Refusal) {
	var grant UserGrant
	if json.Unmarshal(reply["auth"], &grant.Auth) != nil || json.Unmarshal(reply["user_data"], &grant.UserData) != nil {
		return UserGrant{}, unusable(ReasonBadReply, "the API's reply has auth, but not both auth and user_data as strings: sign it as Pusher's server libraries do")
	}
	if err := VerifyUser(grant.Auth, app.Key, app.Secret, r.SocketID, grant.UserData); err != nil {
		return UserGrant{}, unusable(ReasonBadSignature, "the API's reply is signed otherwise than by this app: "+err.Error())
	}
	var user map[string]json.RawMessage
	if json.Unmarshal([]byte(grant.UserData), &user) != nil {
		return UserGrant{}, noUser("user_data in the API's reply is not a JSON object")
	}
	if _, err := protocol.ParseUserID(user["id"]); err != nil {
		return UserGrant{}, noUser("id in user_data of the API's reply " + err.Error())
	}
	if user["id"][0] != '"' {
		return UserGrant{}, noUser("id in user_data of the API's reply is not a string")
	}
	return grant, nil
}

func noUser(what string) *Refusal {
	return unusable(ReasonNoUser, what+": "+askUser.yes+" must return an array such as ['id' => (string) $user->id]")
}
