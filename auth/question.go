package auth

import (
	"net/http"
	"net/url"

	"broadcastd/protocol"
)

// kind is what the API can be asked.
type kind struct {
	name  string // metric label
	key   string // of its endpoint in the configuration
	route string // Laravel's
	yes   string // what gives the answer in Laravel
}

var (
	askChannel = &kind{"channel", "auth.endpoint", "/broadcasting/auth", "the channel's callback"}
	askUser    = &kind{"user", "auth.user_endpoint", "/broadcasting/user-auth", "the callback of Broadcast::resolveAuthenticatedUserUsing"}
)

// question is one client's: may it join a channel, or who is its user?
type question struct {
	*kind
	socketID protocol.SocketID
	channel  string      // empty when asking for a user
	header   http.Header // the client's
}

// form is the question as pusher-js puts it.
func (q question) form() url.Values {
	form := url.Values{"socket_id": {q.socketID.String()}}
	if q.kind == askChannel {
		form.Set("channel_name", q.channel)
	}
	return form
}

// wish is what the client wants to do, in the words of a refusal.
func (q question) wish() string {
	if q.kind == askChannel {
		return "join " + q.channel
	}
	return "sign in"
}

// check refuses what the API need not be asked; headers are the names of those
// that it would get to see.
func (q question) check(headers []string) *Refusal {
	if q.kind == askChannel {
		if refusal := checkChannel(q.channel); refusal != nil {
			return refusal
		}
	}
	if q.socketID == 0 {
		return badQuestion(ReasonMalformed, "socket_id is missing or not one of this server: send the id of the client's connection")
	}
	for _, name := range headers {
		for _, value := range q.header.Values(name) {
			if !validHeaderValue(value) {
				return badQuestion(ReasonMalformed, "the client's "+name+" holds control characters")
			}
		}
	}
	return nil
}

// checkChannel refuses names for which there is no signature. Laravel
// normalises names and then says yes to some that are not those of the
// channel it has in mind.
func checkChannel(name string) *Refusal {
	if err := protocol.CheckChannel(name); err != nil {
		return badQuestion(ReasonBadChannel, err.Error())
	}
	switch kind := protocol.KindOf(name); {
	case !kind.NeedsAuth():
		return badQuestion(ReasonBadChannel, name+" is a public channel: subscribe to it without asking")
	case kind == protocol.User:
		return badQuestion(ReasonBadChannel, name+" cannot be subscribed to by name: sign in to get a user's events")
	}
	return nil
}

func badQuestion(reason, message string) *Refusal {
	return &Refusal{Reason: reason, Status: http.StatusBadRequest, Message: message}
}
