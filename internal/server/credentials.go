package server

import (
	"net/http"
	"slices"
	"strings"
)

// credentialsOf copies what the API may see of a handshake: the configured
// headers. It is nil when nothing in them tells who the client is. Cookies
// count only for apps that name their origins, since a browser sends them
// along whatever site opened the socket. Browsers can't set headers, so a
// token may come in the query, if the API may see Authorization.
func (s *Server) credentialsOf(a *app, r *http.Request) http.Header {
	header := make(http.Header)
	for _, name := range s.cfg.Auth.Headers {
		if v := r.Header.Values(name); len(v) > 0 && (http.CanonicalHeaderKey(name) != "Cookie" || !a.settings().anyOrigin()) {
			header[http.CanonicalHeaderKey(name)] = v
		}
	}
	if token := r.URL.Query().Get("token"); token != "" && header.Get("Authorization") == "" && s.showsAPI("Authorization") {
		header.Set("Authorization", "Bearer "+token)
	}
	if header.Get("Authorization") == "" && header.Get("Cookie") == "" {
		return nil
	}
	return header
}

// shownToAPI copies what the API sees of a request to the auth endpoint.
func (s *Server) shownToAPI(h http.Header) http.Header {
	shown := make(http.Header)
	for _, name := range s.cfg.Auth.Headers {
		if v := h.Values(name); len(v) > 0 {
			shown[http.CanonicalHeaderKey(name)] = v
		}
	}
	return shown
}

// showsAPI reports whether the API gets to see a header.
func (s *Server) showsAPI(name string) bool {
	return slices.ContainsFunc(s.cfg.Auth.Headers, func(h string) bool { return strings.EqualFold(h, name) })
}
