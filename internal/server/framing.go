package server

import (
	"net/http"
	"strings"
)

// endFraming ends the connection after a request whose end a proxy in front may
// have seen elsewhere: what follows would else be a request that the proxy never
// looked at. That is one in chunks, since net/http throws a Content-Length beside
// them away and tells nobody; one of HTTP/1.0, where chunks don't exist; and one
// that asks for a WebSocket, since a proxy may believe that it got it. RFC 9112,
// sections 6.1 and 6.3, demands the former two.
func endFraming(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) || strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Connection", "close")
	}
}
