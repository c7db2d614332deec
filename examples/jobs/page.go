package main

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

//go:embed web/*.html web/*.css web/*.js web/*.svg
var web embed.FS

// Page serves the web page, and laravel-echo and pusher-js from where npm put
// them: no bundler, no copy.
type Page struct {
	Users   []User
	Modules string // the node_modules directory
	Key     string // the app's key at broadcastd
	URL     string // broadcastd as browsers reach it, such as http://127.0.0.1:8080
}

// Register adds the page's routes.
func (p *Page) Register(mux *http.ServeMux) error {
	echo := filepath.Join(p.Modules, "laravel-echo", "dist", "echo.js")
	if _, err := os.Stat(echo); err != nil {
		return fmt.Errorf("%s is missing: run npm ci in examples/jobs/web, or say with --modules where node_modules is", echo)
	}
	url, err := url.Parse(p.URL)
	if err != nil || url.Hostname() == "" {
		return fmt.Errorf("--ws-url %q is not an address such as http://127.0.0.1:8080", p.URL)
	}
	files, err := fs.Sub(web, "web")
	if err != nil {
		return err
	}
	mux.Handle("GET /", noCache(http.FileServerFS(files)))
	mux.Handle("GET /node_modules/", http.StripPrefix("/node_modules", noCache(http.FileServer(http.Dir(p.Modules)))))
	mux.HandleFunc("GET /api/session", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"users": p.Users,
			"realtime": map[string]any{
				"key": p.Key, "host": url.Hostname(), "port": port(url), "tls": url.Scheme == "https",
				"authEndpoint": url.JoinPath("broadcasting/auth").String(),
			},
		})
	})
	return nil
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// noCache makes browsers ask again, so that a rebuilt page shows at once.
func noCache(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}
