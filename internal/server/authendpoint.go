package server

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"broadcastd/auth"
	"broadcastd/protocol"
)

// maxAuthBody bounds a client's request for a signature, in bytes.
const maxAuthBody = 16 << 10

// authEndpoint serves POST /broadcasting/auth, where clients have their
// subscriptions signed: it asks the API with the client's own headers and
// signs a yes. With several apps the app's key follows the path.
func (s *Server) authEndpoint(w http.ResponseWriter, r *http.Request) {
	a := s.authApp(r)
	if a == nil {
		writeError(w, http.StatusNotFound, fmt.Sprintf(
			"no app has this key; with several apps the address is %s/{app key}", s.cfg.Auth.Path))
		return
	}
	origin := r.Header.Get("Origin")
	if !a.allows(origin) {
		writeError(w, http.StatusForbidden, fmt.Sprintf("origin %.100q is not among the app's allowed_origins", origin))
		return
	}
	allowOrigin(w, r, a, origin)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	id, channel, err := authParams(w, r)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	grant, err := s.api.Authorize(r.Context(), a.credentials(), auth.Request{
		SocketID: id, Channel: channel, Header: r.Header,
	})
	if err != nil {
		no := refusalOf(err)
		writeError(w, no.Status, no.Message)
		return
	}
	writeJSON(w, http.StatusOK, grant)
}

func (s *Server) authApp(r *http.Request) *app {
	if key := r.PathValue("key"); key != "" {
		return s.keys[key]
	}
	if len(s.apps) == 1 {
		for _, a := range s.apps {
			return a
		}
	}
	return nil
}

// allowOrigin sets the CORS headers. With any origin allowed, browsers must
// not attach cookies, so the answer says so by leaving the permission out.
func allowOrigin(w http.ResponseWriter, r *http.Request, a *app, origin string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if a.anyOrigin() {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Add("Vary", "Origin")
		if origin == "" {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method != http.MethodOptions {
		return
	}
	h.Set("Access-Control-Allow-Methods", "POST")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "600")
}

// authParams reads socket_id and channel_name from a form or JSON, whatever
// the Content-Type calls JSON.
func authParams(w http.ResponseWriter, r *http.Request) (id protocol.SocketID, channel string, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAuthBody))
	if err != nil {
		return 0, "", fmt.Errorf("the request's body could not be read or is over %d bytes", maxAuthBody)
	}
	var socketID string
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" || len(body) > 0 && body[0] == '{' {
		var p struct {
			SocketID string `json:"socket_id"`
			Channel  string `json:"channel_name"`
		}
		if json.Unmarshal(body, &p) != nil {
			return 0, "", fmt.Errorf(`the body is not JSON of the form {"socket_id", "channel_name"}, both strings`)
		}
		socketID, channel = p.SocketID, p.Channel
	} else {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return 0, "", fmt.Errorf("the body is neither a form nor JSON")
		}
		socketID, channel = form.Get("socket_id"), form.Get("channel_name")
	}
	id, ok := protocol.ParseSocketID(socketID)
	if !ok || id == 0 {
		return 0, "", fmt.Errorf("socket_id is missing, or not one that this server gives out")
	}
	return id, channel, nil
}
