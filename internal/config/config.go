// Package config is broadcastd's configuration: defaults, overridden by
// config.yaml, by the environment and by flags, in this order. It is strict:
// what it doesn't know or can't use stops the start and names the key.
package config

import (
	"log/slog"
	"time"
)

// Config is the whole configuration. The yaml tag is a key's name; its path in
// capitals after BROADCASTD_ is its environment variable. The kind tag says what
// a Go type doesn't: "size" is an int of bytes; "secret", "url" and "hook" are
// strings of which nothing, all but the password, or all but user and query may
// be shown; and a list of kind "prefix" can hold an empty item. The reload tag says
// when a changed value counts, see [Reload]; without one that takes a restart.
type Config struct {
	// Host and Port are where clients and the HTTP API connect.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// ReusePort lets a successor listen at the same addresses before this process
	// has ended. Linux only.
	ReusePort bool `yaml:"reuse_port"`
	// Path goes in front of every route, such as "/ws"; empty by default.
	Path string `yaml:"path"`
	// MaxConnections bounds the connections of this process, those that have asked
	// nothing yet included; 0: as many as the limit of open files allows.
	MaxConnections int `yaml:"max_connections" reload:"now"`
	// MaxConnectionsPerAddress bounds those of one client's address; 0: no limit.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address" reload:"now"`
	// TrustedProxies are addresses and networks whose word on a client's address
	// counts: X-Forwarded-For, or the PROXY protocol's if ProxyProtocol is set.
	TrustedProxies []string `yaml:"trusted_proxies" reload:"now"`
	ProxyProtocol  bool     `yaml:"proxy_protocol" reload:"now"`
	// HandshakeTimeout bounds the time until a request's headers are there.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`
	// MaxRequestSize bounds the body of an HTTP API request, in bytes.
	MaxRequestSize int `yaml:"max_request_size" kind:"size" reload:"now"`
	// Gather is how long a channel with hundreds of subscribers waits after an
	// event, so that those that come meanwhile leave together. 0: it doesn't.
	Gather time.Duration `yaml:"gather"`
	// ShutdownTimeout bounds the time from SIGTERM to the end.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" reload:"now"`
	// ShutdownDelay is how long all goes on after SIGTERM while readiness says no,
	// ShutdownSpread how long it then takes until the last client is closed.
	ShutdownDelay  time.Duration `yaml:"shutdown_delay" reload:"now"`
	ShutdownSpread time.Duration `yaml:"shutdown_spread" reload:"now"`
	// ShutdownCloseCode is what clients are closed with then: 4200, on which
	// pusher-js reconnects at once, or 4100, on which it waits for a second.
	ShutdownCloseCode int `yaml:"shutdown_close_code" reload:"now"`
	// Debug prints each message in and out, credentials masked.
	Debug bool `yaml:"debug"`

	TLS     TLS     `yaml:"tls"`
	Log     Log     `yaml:"log"`
	Admin   Admin   `yaml:"admin"`
	Redis   Redis   `yaml:"redis"`
	Scaling Scaling `yaml:"scaling"`
	Auth    Auth    `yaml:"auth"`

	// App is the app to serve when there is one, and the defaults of Apps.
	App App `yaml:"app"`
	// Apps are further apps; what an entry leaves out it takes from App.
	Apps []App `yaml:"apps"`
}

// LogLevel is that of the log. With Debug, messages are printed at info.
func (c *Config) LogLevel() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // validated
	if c.Debug {
		level = min(level, slog.LevelInfo)
	}
	return level
}

// TLS is what clients and the HTTP API are served with; without it, in plain text.
type TLS struct {
	Cert string `yaml:"cert" reload:"now"` // a PEM file with the chain, the server's own first
	Key  string `yaml:"key" reload:"now"`  // a PEM file
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" reload:"now"` // debug, info, warn or error
	Format string `yaml:"format"`             // text or json
}

// Admin is the listener for metrics and health.
type Admin struct {
	Listen string `yaml:"listen"` // host:port; empty switches it off
	// Token is what all but the health routes demand as bearer, if there is one.
	// Listen may be reached from other machines only with it.
	Token string `yaml:"token" kind:"secret"`
	Pprof bool   `yaml:"pprof"` // Go's profiles are there too
}

// Redis is where Laravel publishes.
type Redis struct {
	URL string `yaml:"url" kind:"url"` // as internal/redisurl reads it; empty: no Redis
	// Source is what is heard: pubsub is what Laravel publishes, stream the log
	// of Scaling, to which an API can add events itself.
	Source string `yaml:"source"` // pubsub, stream or both
	// Prefix is one or several; a channel's name begins after it. An empty
	// one hears every channel.
	Prefix []string `yaml:"prefix" kind:"prefix"`
	// Sources says which prefix belongs to which app, when there are several.
	Sources []RedisSource `yaml:"sources"`
	// Required makes a Redis that is away fatal at the start, and takes
	// readiness down later.
	Required bool `yaml:"required"`
}

// RedisSource gives the events under a prefix to an app.
type RedisSource struct {
	Prefix string `yaml:"prefix"`
	App    string `yaml:"app"` // the app's id
}

// Scaling is how several nodes serve the same apps, with a log in Redis. All but
// Enabled, Lease, Node and ClusterLimits also goes for a single node that reads
// a log.
type Scaling struct {
	Enabled bool `yaml:"enabled"`
	// Redis is where the log and what the nodes share is; see [Config.LogURL].
	Redis  string `yaml:"redis" kind:"url"`
	Prefix string `yaml:"prefix"` // of every key
	// Partitions are how many logs an app has, by channel. All nodes must have
	// the same number.
	Partitions int `yaml:"partitions"`
	// Lease is how long a node may be silent before another one cleans up after
	// it.
	Lease     time.Duration `yaml:"lease"`
	LogLength int           `yaml:"log_length"` // about the entries kept of each log
	Node      string        `yaml:"node"`       // what operators see; empty: host name and port
	// ClusterLimits makes max_connections count those of all nodes.
	ClusterLimits bool `yaml:"cluster_limits"`
}

// Auth is how the API is asked who may listen.
type Auth struct {
	Endpoint string `yaml:"endpoint" kind:"url"` // the API's URL; empty: only signatures count
	Path     string `yaml:"path"`                // the daemon's own endpoint for clients
	// UserEndpoint and UserPath are the same for signing in (pusher:signin).
	UserEndpoint string `yaml:"user_endpoint" kind:"url"`
	UserPath     string `yaml:"user_path"`
	// Headers are those of a client's request that the API gets to see.
	Headers []string      `yaml:"headers"`
	Timeout time.Duration `yaml:"timeout"` // of one call to the API
	// MaxConcurrent bounds the calls under way; further ones wait, up to
	// MaxWait.
	MaxConcurrent int           `yaml:"max_concurrent"`
	MaxWait       time.Duration `yaml:"max_wait"`
	// Revalidate is how often the API is asked again about subscriptions that it
	// granted, Cache how long a yes counts for the same credentials and channel.
	// 0: never.
	Revalidate time.Duration `yaml:"revalidate"`
	Cache      time.Duration `yaml:"cache"`
}

// App is one application: who may connect, publish and how much.
type App struct {
	ID     string `yaml:"id"`
	Key    string `yaml:"key" reload:"now"`
	Secret string `yaml:"secret" kind:"secret" reload:"now"`
	// AllowedOrigins are host names, "*" and wildcards such as "*.example.com".
	AllowedOrigins []string `yaml:"allowed_origins" reload:"new"`
	// PingInterval is the silence after which the server pings a client,
	// ActivityTimeout the one after which clients are told to ping.
	PingInterval    time.Duration `yaml:"ping_interval" reload:"new"`
	ActivityTimeout time.Duration `yaml:"activity_timeout" reload:"new"`
	// PongTimeout is how long a pinged client may stay silent.
	PongTimeout    time.Duration `yaml:"pong_timeout" reload:"new"`
	MaxConnections int           `yaml:"max_connections" reload:"new"`              // 0: no limit of its own
	MaxMessageSize int           `yaml:"max_message_size" kind:"size" reload:"new"` // bytes of a client's message
	MaxEventSize   int           `yaml:"max_event_size" kind:"size" reload:"alone"` // bytes of an event's data
	// MaxOutbox bounds what waits for a client that reads too slowly, bytes.
	MaxOutbox int `yaml:"max_outbox" kind:"size" reload:"new"`
	// MaxSubscriptions bounds the channels of one connection; 0: no limit.
	MaxSubscriptions int `yaml:"max_subscriptions" reload:"now"`
	// AcceptClientEventsFrom is members, all or none.
	AcceptClientEventsFrom string `yaml:"accept_client_events_from" reload:"now"`
	// MaxClientEvents is how many a connection may send a second; 0: no limit.
	MaxClientEvents int `yaml:"max_client_events_per_second" reload:"now"`
	// MaxEvents is how many the HTTP API may publish a second, once for each
	// channel; 0: no limit.
	MaxEvents int `yaml:"max_events_per_second" reload:"now"`
	// MaxPresenceMembers bounds a presence channel, MaxUserInfo what is told of
	// a member, in bytes; 0: no limit.
	MaxPresenceMembers int `yaml:"max_presence_members" reload:"alone"`
	MaxUserInfo        int `yaml:"max_user_info" kind:"size" reload:"now"`
	// CacheTTL is how long a cache channel's last event is kept, CacheSize
	// about the memory for all of them, in bytes.
	CacheTTL  time.Duration `yaml:"cache_ttl" reload:"now"`
	CacheSize int           `yaml:"cache_size" kind:"size" reload:"now"`
	// SubscriptionCount tells subscribers how many they are.
	SubscriptionCount bool `yaml:"subscription_count" reload:"alone"`
	// Compression agrees to permessage-deflate with clients that offer it.
	Compression  bool         `yaml:"compression" reload:"new"`
	Webhooks     []Webhook    `yaml:"webhooks" reload:"alone"`
	RateLimiting RateLimiting `yaml:"rate_limiting"`
}

// Webhook is an address that is told what happens to an app's channels.
type Webhook struct {
	URL     string            `yaml:"url" kind:"hook"`
	Headers map[string]string `yaml:"headers"` // sent along; the values are secrets
	Events  []string          `yaml:"events"`  // names, such as channel_occupied; empty: all
	// ChannelPrefix and ChannelSuffix, where set, are what names of channels
	// must begin and end with.
	ChannelPrefix string `yaml:"channel_prefix"`
	ChannelSuffix string `yaml:"channel_suffix"`
}

// RateLimiting bounds the messages of one connection, as Reverb does.
type RateLimiting struct {
	Enabled          bool          `yaml:"enabled" reload:"new"`
	MaxAttempts      int           `yaml:"max_attempts" reload:"new"`
	Decay            time.Duration `yaml:"decay_seconds" reload:"new"`
	TerminateOnLimit bool          `yaml:"terminate_on_limit" reload:"now"`
}
