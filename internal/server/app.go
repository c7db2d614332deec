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
	id          string
	current     atomic.Pointer[settings]
	hub         *channels.Hub
	hooks       *webhook.Sender // nil: none, and none can come
	sources     map[Source]sourceMetrics
	users       *channels.Users
	present     presentUsers
	events      *rate.Limiter    // of the HTTP API
	cluster     channels.Cluster // nil: none
	connections atomic.Int64
	plain       atomic.Bool // told of readable events for encrypted channels
	gone        atomic.Bool // removed by a reload
}

// settings are what a reload can change of an app. They are replaced as a whole.
type settings struct {
	config.App
	limits *socket.Limits // of connections that begin
}

// settings are those that count now.
func (a *app) settings() *settings { return a.current.Load() }

// configure gives the app settings.
func (a *app) configure(c config.App) {
	setEventLimit(a.events, c.MaxEvents)
	a.current.Store(&settings{c, &socket.Limits{
		MaxMessageSize: c.MaxMessageSize,
		MaxOutbox:      c.MaxOutbox,
		Compression:    c.Compression,
		PingInterval:   c.PingInterval,
		PongTimeout:    c.PongTimeout,
		Group:          a,
	}})
}

// hubOptions are what the app's settings say of its channels.
func (a *app) hubOptions(observer channels.Observer) channels.Options {
	c := a.settings()
	return channels.Options{
		CacheTTL: c.CacheTTL, CacheBytes: c.CacheSize, MaxMembers: c.MaxPresenceMembers,
		SubscriptionCount: c.SubscriptionCount, Observer: observer,
	}
}

func (a *app) credentials() auth.Credentials {
	c := a.settings()
	return auth.Credentials{Key: c.Key, Secret: c.Secret}
}

// anyOrigin reports whether every web site may open connections.
func (c *settings) anyOrigin() bool { return slices.Contains(c.AllowedOrigins, "*") }

// allows reports whether a page of this origin may connect. Clients that are
// not browsers send none and are not held up: an origin protects a browser's
// user, and anything else could forge it.
func (c *settings) allows(origin string) bool {
	if origin == "" || c.anyOrigin() {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(origin, u.Scheme+"://"+u.Host) { // such as a user's name before the host
		return false
	}
	host := strings.ToLower(u.Hostname())
	return slices.ContainsFunc(c.AllowedOrigins, func(pattern string) bool {
		// Host names have no slash, so '*' in a pattern spans dots too, as
		// it does in Reverb.
		ok, err := path.Match(strings.ToLower(pattern), host)
		return err == nil && ok
	})
}
