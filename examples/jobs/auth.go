package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// broadcastingAuth answers, as Laravel's redis broadcaster does, whether the
// user may listen to a channel: 200 with the text true, or 403. It signs
// nothing: broadcastd asks here and signs a yes.
func (a *API) broadcastingAuth(w http.ResponseWriter, r *http.Request, user User) (any, error) {
	if !a.mayListen(user, channelName(r)) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "{\n    \"message\": \"\"\n}")
		return nil, nil
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "true")
	return nil, nil
}

// mayListen is what routes/channels.php holds in a Laravel application: a
// job's channel is for its client and its freelancer, a user's for that user.
func (a *API) mayListen(user User, channel string) bool {
	kind, idText, _ := strings.Cut(strings.TrimPrefix(channel, "private-"), ".")
	id, err := strconv.Atoi(idText)
	if err != nil || strconv.Itoa(id) != idText {
		return false
	}
	switch kind {
	case "job":
		job, found := a.Market.Job(id)
		return found && job.HasParty(user.ID)
	case "user":
		return id == user.ID
	}
	return false
}

// channelName reads channel_name from a form, a query or a JSON body; empty
// when there is none.
func channelName(r *http.Request) string {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return r.FormValue("channel_name")
	}
	var body struct {
		ChannelName string `json:"channel_name"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return ""
	}
	return body.ChannelName
}
