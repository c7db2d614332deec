package server

import "net/http"

// safeHeaders go with every answer, so that a browser that is led to one makes
// nothing of it: no page, no script, no frame, no copy in a cache. Who may read
// an answer is a matter of CORS, which they don't touch.
var safeHeaders = [][2]string{
	{"Cache-Control", "no-store"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
	{"Referrer-Policy", "no-referrer"},
	{"X-Content-Type-Options", "nosniff"},
}

func withSafeHeaders(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, header := range safeHeaders {
			w.Header().Set(header[0], header[1])
		}
		h.ServeHTTP(w, r)
	})
}
