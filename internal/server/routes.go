package server

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"broadcastd/protocol"
)

// route is an address that the server answers. HEAD is answered where GET is,
// unless what is got is a WebSocket, OPTIONS everywhere.
type route struct {
	name    string // metric label; a WebSocket has none, but metrics of its own
	method  string
	pattern string // as http.ServeMux has it, below the configured path
	handler http.HandlerFunc
	// preflight answers OPTIONS; nil: pages of all origins may ask.
	preflight http.HandlerFunc
	socket    bool // a WebSocket
}

// routes are what clients and APIs reach. docs/openapi.yaml describes them.
func (s *Server) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	all := []route{
		{method: get, pattern: "/app/{key}", handler: s.connect, socket: true},
		{name: "events", method: post, pattern: "/apps/{app_id}/events", handler: s.signed(s.postEvents)},
		{name: "batch_events", method: post, pattern: "/apps/{app_id}/batch_events", handler: s.signed(s.postBatch)},
		{name: "channels", method: get, pattern: "/apps/{app_id}/channels", handler: s.signed(s.getChannels)},
		{name: "channel", method: get, pattern: "/apps/{app_id}/channels/{channel_name}", handler: s.signed(s.getChannel)},
		{name: "users", method: get, pattern: "/apps/{app_id}/channels/{channel_name}/users", handler: s.signed(s.getUsers)},
		{name: "connections", method: get, pattern: "/apps/{app_id}/connections", handler: s.signed(s.getConnections)},
		{name: "terminate_connections", method: post, pattern: "/apps/{app_id}/users/{user_id}" + terminateSuffix, handler: s.signed(s.terminate)},
		// Pusher's libraries leave slashes in user ids as they are.
		{name: "terminate_connections", method: post, pattern: "/apps/{app_id}/users/{rest...}", handler: slashedUser(s.signed(s.terminate))},
	}
	auth := func(name, path, key string, ask question) {
		h := unconfigured(key)
		if ask != nil {
			h = s.authEndpoint(path, ask)
		}
		all = append(all,
			route{name: name, method: post, pattern: path, handler: h, preflight: h},
			route{name: name, method: post, pattern: path + "/{key}", handler: h, preflight: h})
	}
	var channel, user question
	if s.api != nil {
		channel = s.askChannel
	}
	if s.userAPI != nil {
		user = s.askUser
	}
	auth("auth", s.cfg.Auth.Path, "auth.endpoint", channel)
	auth("user_auth", s.cfg.Auth.UserPath, "auth.user_endpoint", user)
	return append(all, s.healthRoutes()...)
}

func (s *Server) healthRoutes() []route {
	return []route{
		{name: "health", method: http.MethodGet, pattern: "/up", handler: s.up},
		{name: "health", method: http.MethodGet, pattern: "/healthz", handler: s.up},
		{name: "health", method: http.MethodGet, pattern: "/readyz", handler: s.ready},
	}
}

// publicRoutes serves routes. Everything else is a 404, also a path with //, .
// or .. in it: ServeMux would redirect, and make a GET of a POST.
func (s *Server) publicRoutes() http.Handler {
	other := s.lost(s.counted("other", http.HandlerFunc(notFound)))
	mux := http.NewServeMux()
	mux.Handle("/", other)
	for _, rt := range s.routes() {
		h := http.Handler(rt)
		if !rt.socket {
			h = s.counted(rt.name, rt)
		}
		mux.Handle(s.cfg.Path+rt.pattern, h)
	}
	return withSafeHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		endFraming(w, r)
		sent := r.URL.EscapedPath()
		if clean := path.Clean(sent); sent != clean && sent != clean+"/" {
			other.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// methods are those that the route answers.
func (rt route) methods() []string {
	if rt.method == http.MethodGet && !rt.socket {
		return []string{rt.method, http.MethodHead, http.MethodOptions}
	}
	return []string{rt.method, http.MethodOptions}
}

func (rt route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	allowed := r.Method == rt.method || slices.Contains(rt.methods(), r.Method)
	if allowed && r.Method != http.MethodOptions {
		rt.handler(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(rt.methods(), ", "))
	switch {
	case !allowed:
		writeError(w, http.StatusMethodNotAllowed, fmt.Sprintf("method %.20q is not allowed here", r.Method))
	case rt.preflight != nil:
		rt.preflight(w, r)
	default:
		w.Header().Set("Access-Control-Allow-Origin", "*")
		allowRequest(w.Header(), r, rt.method)
		w.WriteHeader(http.StatusNoContent)
	}
}

// allowRequest answers a browser that asks before a request, with whatever
// headers, to another origin.
func allowRequest(h http.Header, r *http.Request, method string) {
	h.Set("Access-Control-Allow-Methods", method)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "600")
}

const terminateSuffix = "/terminate_connections"

// slashedUser finds a user id that holds slashes in the wildcard rest.
func slashedUser(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutSuffix(r.PathValue("rest"), terminateSuffix)
		if !ok || id == "" {
			notFound(w, r)
			return
		}
		r.SetPathValue("user_id", id)
		h(w, r)
	}
}

// lost tells clients that look for a WebSocket where none is, which a browser
// hears only once it has one.
func (s *Server) lost(otherwise http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wantsSocket(r) || !s.enter() {
			otherwise.ServeHTTP(w, r)
			return
		}
		defer s.unbegun(func() {})
		s.refuse(w, r, &refusal{"path_not_found", protocol.ClosePathNotFound,
			"clients connect to {path}/app/{key}: the key path, or REVERB_SERVER_PATH, must be the client's wsPath"})
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, fmt.Sprintf(
		"nothing is at %.100q; clients connect to {path}/app/{key}, events are posted to {path}/apps/{id}/events (is the key path, or REVERB_SERVER_PATH, right?)", r.URL.Path))
}
