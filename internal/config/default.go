package config

import (
	"cmp"
	"time"
)

// The values of redis.source.
const (
	SourcePubSub = "pubsub"
	SourceStream = "stream"
	SourceBoth   = "both"
)

// Default is the configuration of a daemon that was told nothing. It has no
// app, so [Config.Validate] refuses it.
func Default() Config {
	return Config{
		Host:              "0.0.0.0",
		Port:              8080,
		HandshakeTimeout:  10 * time.Second,
		MaxRequestSize:    1 << 20,
		Gather:            20 * time.Millisecond,
		ShutdownCloseCode: 4200,
		ShutdownTimeout:   10 * time.Second,
		Log:               Log{Level: "info", Format: "text"},
		Admin:             Admin{Listen: "127.0.0.1:9601"},
		// Laravel's default prefix with an APP_NAME of Laravel: since version
		// 12, and before it.
		Redis: Redis{Prefix: []string{"laravel-database-", "laravel_database_"}, Source: SourcePubSub},
		Scaling: Scaling{
			Prefix:     "broadcastd:",
			Partitions: 1,
			Lease:      10 * time.Second,
			LogLength:  100_000,
		},
		Auth: Auth{
			Path:     "/broadcasting/auth",
			UserPath: "/broadcasting/user-auth",
			Headers: []string{
				"Authorization", "Cookie", "X-CSRF-TOKEN", "X-XSRF-TOKEN",
				"Accept-Language", "Origin", "Referer",
			},
			Timeout:       5 * time.Second,
			MaxConcurrent: 64,
			MaxWait:       30 * time.Second,
		},
		App: App{
			AllowedOrigins:         []string{"*"},
			PingInterval:           60 * time.Second,
			ActivityTimeout:        120 * time.Second,
			PongTimeout:            30 * time.Second,
			MaxMessageSize:         100 << 10,
			MaxEventSize:           100 << 10,
			MaxOutbox:              1 << 20,
			MaxSubscriptions:       1000,
			AcceptClientEventsFrom: "members",
			MaxClientEvents:        10,
			MaxPresenceMembers:     10000,
			MaxUserInfo:            10 << 10,
			CacheTTL:               30 * time.Minute,
			CacheSize:              64 << 20,
			RateLimiting:           RateLimiting{MaxAttempts: 60, Decay: 60 * time.Second},
		},
	}
}

// HearsPublish tells whether what Laravel publishes in Redis is heard.
func (c *Config) HearsPublish() bool { return c.Redis.URL != "" && c.Redis.Source != SourceStream }

// ReadsLog tells whether events come out of the log.
func (c *Config) ReadsLog() bool { return c.Scaling.Enabled || c.Redis.Source != SourcePubSub }

// LogURL is the Redis of the log, empty if there is none.
func (c *Config) LogURL() string { return cmp.Or(c.Scaling.Redis, c.Redis.URL) }

// AllApps lists the apps to serve: App when it has credentials, then Apps,
// into which [Load] has filled what they take from App.
func (c *Config) AllApps() []App {
	var all []App
	if c.App.ID != "" || c.App.Key != "" || c.App.Secret != "" {
		all = append(all, c.App)
	}
	return append(all, c.Apps...)
}
