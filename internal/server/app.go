package server

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/internal/socket"
	"broadcastd/internal/webhook"
)

// Values of accept_client_events_from; the third, members, is the default.
const (
	clientEventsAll  = "all"
	clientEventsNone = "none"
)

// app is one application: its settings and its channels.
type app struct {
	config.App
	hub         *channels.Hub
	hooks       *webhook.Sender // nil: none
	sources     map[Source]sourceMetrics
	users       *channels.Users
	present     presentUsers
	limits      *socket.Limits
	events      *rate.Limiter    // of the HTTP API
	cluster     channels.Cluster // nil: none
	connections atomic.Int64
	plain       atomic.Bool // told of readable events for encrypted channels
}

func newApp(c config.App, hooks *webhook.Sender, m *metrics) *app {
	return &app{App: c, hooks: hooks, events: newEventLimit(c.MaxEvents), sources: m.ofSources(c.ID), users: channels.NewUsers(), limits: &socket.Limits{
		MaxMessageSize: c.MaxMessageSize,
		MaxOutbox:      c.MaxOutbox,
		Compression:    c.Compression,
		PingInterval:   c.PingInterval,
		PongTimeout:    c.PongTimeout,
	}}
}

func (a *app) credentials() auth.Credentials {
	return auth.Credentials{Key: a.Key, Secret: a.Secret}
}

// anyOrigin reports whether every web site may open connections.
func (a *app) anyOrigin() bool { return slices.Contains(a.AllowedOrigins, "*") }

// allows reports whether a page of this origin may connect. Clients that are
// not browsers send none and are not held up: an origin protects a browser's
// user, and anything else could forge it.
func (a *app) allows(origin string) bool {
	if origin == "" || a.anyOrigin() {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return slices.ContainsFunc(a.AllowedOrigins, func(pattern string) bool {
		// Host names have no slash, so '*' in a pattern spans dots too, as
		// it does in Reverb.
		ok, err := path.Match(strings.ToLower(pattern), host)
		return err == nil && ok
	})
}
