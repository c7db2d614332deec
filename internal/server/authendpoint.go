package server

import (
	"context"
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

// newAPI makes what asks the API, if it is to be asked.
func (s *Server) newAPI(o Options) error {
	c := o.Config.Auth
	if c.Endpoint == "" && c.UserEndpoint == "" {
		return nil
	}
	api, err := auth.NewAPI(auth.APIConfig{
		Endpoint: c.Endpoint, UserEndpoint: c.UserEndpoint, Headers: c.Headers, Timeout: c.Timeout,
		MaxConcurrent: c.MaxConcurrent, MaxWait: c.MaxWait, Cache: c.Cache,
	}, o.Registry, o.Log.With("component", "auth"))
	if err != nil {
		return err
	}
	if c.Endpoint != "" {
		s.api = api
	}
	if c.UserEndpoint != "" {
		s.userAPI = api
	}
	return nil
}

// authParams are what a client sends to have something signed.
type authParams struct {
	socketID protocol.SocketID
	channel  string // empty when signing in
}

// question asks the API on behalf of a client, whose headers these are, and
// returns the signed yes.
type question func(ctx context.Context, app auth.Credentials, p authParams, h http.Header) (any, error)

func (s *Server) askChannel(ctx context.Context, app auth.Credentials, p authParams, h http.Header) (any, error) {
	grant, err := s.api.Authorize(ctx, app, auth.Request{SocketID: p.socketID, Channel: p.channel, Header: h})
	if err == nil && s.again != nil {
		s.noteGrant(s.appOfKey(app.Key), p, h)
	}
	return grant, err
}

// noteGrant remembers who was granted a channel, so that the API can be asked
// again. Nothing is known of a connection that another node has.
func (s *Server) noteGrant(a *app, p authParams, h http.Header) {
	proof := s.again.proofOf(p.socketID)
	if proof == nil || proof.app != a {
		s.metrics.grantsElsewhere.Inc()
		s.elsewhere.Do(func() {
			s.log.Warn("the API granted a subscription to a connection that is not on this node, and will not be asked about it again (auth.revalidate); have the load balancer send a client's requests where its connection is; further ones are only counted")
		})
		return
	}
	proof.granted(p.channel, s.shownToAPI(h))
}

func (s *Server) askUser(ctx context.Context, app auth.Credentials, p authParams, h http.Header) (any, error) {
	return s.userAPI.AuthenticateUser(ctx, app, auth.UserRequest{SocketID: p.socketID, Header: h})
}

// unconfigured answers where the API would be asked, but isn't known.
func unconfigured(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, fmt.Sprintf("this server knows no API to ask: %s is not configured", key))
	}
}

// authEndpoint serves POST /broadcasting/auth and /broadcasting/user-auth,
// where clients have their subscriptions and sign-ins signed, and OPTIONS. With
// several apps the app's key follows the path.
func (s *Server) authEndpoint(path string, ask question) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := s.authApp(r)
		if a == nil {
			writeError(w, http.StatusNotFound, fmt.Sprintf(
				"no app has this key; with several apps the address is %s/{app key}", path))
			return
		}
		origin := r.Header.Get("Origin")
		if !a.settings().allows(origin) {
			writeError(w, http.StatusForbidden, fmt.Sprintf("origin %.100q is not among the app's allowed_origins", origin))
			return
		}
		allowOrigin(w.Header(), a, origin)
		if r.Method == http.MethodOptions {
			allowRequest(w.Header(), r, http.MethodPost)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		params, err := readAuthParams(w, r)
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		grant, err := ask(r.Context(), a.credentials(), params, r.Header)
		if err != nil {
			no := refusalOf(err)
			writeError(w, no.Status, no.Message)
			return
		}
		writeJSON(w, http.StatusOK, grant)
	}
}

func (s *Server) authApp(r *http.Request) *app {
	if key := r.PathValue("key"); key != "" {
		return s.appOfKey(key)
	}
	return s.onlyApp()
}

// allowOrigin lets pages of an origin that the app allows read the answer. With
// any origin allowed, browsers must not attach cookies, so the answer says so
// by leaving the permission out.
func allowOrigin(h http.Header, a *app, origin string) {
	if a.settings().anyOrigin() {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	h.Add("Vary", "Origin")
	if origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// readAuthParams reads socket_id and channel_name from a form or JSON,
// whatever the Content-Type calls JSON.
func readAuthParams(w http.ResponseWriter, r *http.Request) (p authParams, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAuthBody))
	if err != nil {
		return p, fmt.Errorf("the request's body could not be read or is over %d bytes", maxAuthBody)
	}
	var socketID string
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" || len(body) > 0 && body[0] == '{' {
		var sent struct {
			SocketID string `json:"socket_id"`
			Channel  string `json:"channel_name"`
		}
		if json.Unmarshal(body, &sent) != nil {
			return p, fmt.Errorf(`the body is not JSON of the form {"socket_id", "channel_name"}, both strings`)
		}
		socketID, p.channel = sent.SocketID, sent.Channel
	} else {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return p, fmt.Errorf("the body is neither a form nor JSON")
		}
		socketID, p.channel = form.Get("socket_id"), form.Get("channel_name")
	}
	id, ok := protocol.ParseSocketID(socketID)
	if !ok || id == 0 {
		return p, fmt.Errorf("socket_id is missing, or not one that this server gives out")
	}
	p.socketID = id
	return p, nil
}
