package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const emptyPrefix = "an empty prefix hears every channel, so with several apps nothing tells whose an event is"

const notHookURL = "expected an absolute URL such as https://api.example.com/broadcasting/webhook"

// invalidFiles are the files of testdata/invalid and their errors after
// "file:"; those without a line are of no place in it.
var invalidFiles = map[string][]string{
	"connections": {
		"2: max_connections: -1 is too small; it must be at least 0",
		"3: max_connections_per_address: -1 is too small; it must be at least 0",
		`4: trusted_proxies: "10.0.0.0/33" is neither an address nor a network such as 10.0.0.0/8 or fd00::/8`,
		`4: trusted_proxies: "localhost" is neither an address nor a network such as 10.0.0.0/8 or fd00::/8`,
		`4: trusted_proxies: "::ffff:10.0.0.1" is neither an address nor a network such as 10.0.0.0/8 or fd00::/8`,
		`4: trusted_proxies: "fe80::1%eth0" is neither an address nor a network such as 10.0.0.0/8 or fd00::/8`,
		"5: handshake_timeout: 0s is too short; it must be longer than 0",
	},
	"proxy-protocol": {"2: proxy_protocol: anybody could then claim any address; list in trusted_proxies who may send its header"},
	"gather":         {"2: gather: 5s is not between 0s (write each event at once) and 1s"},
	"shutdown-time": {
		"2: shutdown_timeout: 5s is too short for shutdown_delay (2s), shutdown_spread (2s) and 2s for what is under way",
	},
	"shutdown-spread":       {"2: shutdown_spread: -1s is less than 0s (all clients are closed at the same time)"},
	"shutdown-delay":        {"2: shutdown_delay: -1s is less than 0s (clients are sent away at once)"},
	"shutdown-code":         {"2: shutdown_close_code: 4001 is neither 4200 (clients reconnect at once) nor 4100 (after a second)"},
	"tls-cert":              {"tls.cert: is missing; it is the file of the certificate to tls.key"},
	"tls-key":               {"tls.key: is missing; it is the file of the key to tls.cert"},
	"auth-path-taken":       {`3: auth.path: "/apps/auth" begins with a route that the server has already`},
	"no-app":                {"app: " + noApp},
	"app-id-only":           {"app.key: is missing", "app.secret: is missing"},
	"port":                  {"2: port: 70000 is not a port, 1 to 65535, or 0 for any free one"},
	"host-with-port":        {`2: host: "127.0.0.1:8080" is not an address or host name without a port`},
	"path-without-slash":    {`2: path: "ws" is not a path such as /ws, with a / at its beginning, none at its end, and no special characters`},
	"path-ends-with-slash":  {`2: path: "/ws/" is not a path such as /ws, with a / at its beginning, none at its end, and no special characters`},
	"zero-limits":           {"2: max_request_size: 0 is too small; it must be at least 1", "3: shutdown_timeout: 0s is too short; it must be longer than 0"},
	"log":                   {`2: log.level: "verbose" is none of debug, info, warn, error`, `2: log.format: "xml" is none of text, json`},
	"admin-listen":          {`2: admin.listen: "9601" is not an address and a port such as 127.0.0.1:9601`},
	"redis-url":             {"2: redis.url: " + notRedisURL},
	"redis-url-scheme":      {"2: redis.url: " + notRedisURL},
	"redis-url-option":      {"2: redis.url: " + notRedisURL},
	"redis-source":          {`2: redis.source: "streams" is none of pubsub, stream, both`},
	"source-without-redis":  {"3: redis.source: both needs a Redis where Laravel publishes; set redis.url"},
	"stream-without-redis":  {"3: redis.source: stream needs a Redis that has the log; set redis.url or scaling.redis"},
	"scaling-without-redis": {"2: scaling.enabled: the nodes need a Redis to share; set scaling.redis or redis.url"},
	"scaling": {
		"2: redis.url: a Cluster has no database but 0",
		"4: scaling.redis: " + notRedisURL,
		`5: scaling.prefix: "a {b}" has a space, { or } in it; braces are how a Cluster finds a key's node`,
		"6: scaling.partitions: 257 is not between 1 and 256",
		"7: scaling.lease: 500ms is not between 1s and 5m",
		"8: scaling.log_length: 999 is too small; it must be at least 1000",
		`9: scaling.node: "a\tb" has a character that cannot be printed`,
	},
	"scaling-2": {
		"3: scaling.redis: " + notRedisURL,
		`4: scaling.prefix: "}" has a space, { or } in it; braces are how a Cluster finds a key's node`,
		"5: scaling.partitions: 0 is not between 1 and 256",
		"6: scaling.lease: 6m is not between 1s and 5m",
	},
	"scaling-unused": {
		"4: scaling.cluster_limits: it is for several nodes: set scaling.enabled too",
		"3: scaling.redis: nothing would use it: set scaling.enabled, or redis.source to stream or both",
	},
	"redis-no-prefix": {`2: redis.prefix: the list is empty, so nothing would be heard; "" hears every channel`},
	"prefix-twice":    {`2: redis.prefix: "a-" stands twice in the list`},
	"prefix-empty":    {"1: redis.prefix: " + emptyPrefix},
	"sources-missing": {"redis.sources: with several apps, list which prefix belongs to which app, as {prefix: ..., app: <its id>}"},
	"sources-bad":     {`5: redis.sources[1].prefix: "a-" belongs to another source already`, `6: redis.sources[2].app: no app has the id "3"`, "7: redis.sources[3].prefix: " + emptyPrefix},
	"inherited":       {"2: apps[0].pong_timeout: 0s is too short; it must be longer than 0"},
	"duplicates":      {`3: apps[0].id: "1" is also app.id`, `4: apps[1].key: "b" is also apps[0].key`},
	"credentials":     {"2: apps[0].id: has a character that cannot be in a URL's path; use letters, digits, - and _", "2: apps[0].key: has a character that cannot be in a URL's path; use letters, digits, - and _", "2: apps[0].secret: is missing", "3: apps[1].id: is missing"},
	"auth": {
		"3: auth.endpoint: expected an absolute URL such as https://api.example.com/broadcasting/auth",
		`4: auth.path: "" is not a path such as /ws, with a / at its beginning, none at its end, and no special characters`,
		`5: auth.headers: "X Bad:" is not the name of an HTTP header`,
		"6: auth.timeout: -1s is too short; it must be longer than 0",
		"7: auth.max_concurrent: 0 is too small; it must be at least 1",
		"8: auth.max_wait: 0s is too short; it must be longer than 0",
	},
	"app-limits": {
		`6: apps[0].allowed_origins: the list is empty, so no browser could connect; "*" allows every site`,
		"7: apps[0].ping_interval: 0s is too short; it must be longer than 0",
		"9: apps[0].pong_timeout: 0s is too short; it must be longer than 0",
		"8: apps[0].activity_timeout: 500ms is too short; it must be at least 1s",
		"10: apps[0].max_connections: -1 is too small; it must be at least 0",
		"11: apps[0].max_message_size: 0 is too small; it must be at least 1",
		"apps[0].max_outbox: 1MiB is less than one event of max_event_size, 2MiB",
		`13: apps[0].accept_client_events_from: "friends" is none of members, all, none`,
		"14: apps[0].rate_limiting.max_attempts: 0 is too small; it must be at least 1",
		"14: apps[0].rate_limiting.decay_seconds: 0s is too short; it must be longer than 0",
	},
	"negative-limits": {
		"5: app.max_client_events_per_second: -1 is too small; it must be at least 0",
		"6: app.max_events_per_second: -1 is too small; it must be at least 0",
		"7: app.max_presence_members: -1 is too small; it must be at least 0",
		"8: app.max_user_info: -1 is too small; it must be at least 0",
		"9: app.cache_ttl: 0s is too short; it must be longer than 0",
		"10: app.cache_size: -1024 is too small; it must be at least 0",
	},
	"user-auth": {
		"3: auth.user_endpoint: expected an absolute URL such as https://api.example.com/broadcasting/user-auth",
		`4: auth.user_path: "/broadcasting/auth" is also auth.path`,
	},
	"user-path-taken": {`3: auth.user_path: "/app/user" begins with a route that the server has already`},
	"webhooks": {
		"6: apps[0].webhooks[0].url: " + notHookURL,
		"7: apps[0].webhooks[1].url: " + notHookURL,
		"8: apps[0].webhooks[2].url: " + notHookURL,
		`10: apps[0].webhooks[3].headers: "X A" is not the name of an HTTP header`,
		`10: apps[0].webhooks[3].headers: the value of "X-C" has a character that cannot be in a header, such as a line's end`,
		`10: apps[0].webhooks[3].headers: "content-type" cannot be set: the server does so itself`,
		`10: apps[0].webhooks[3].headers: "x-b" is there twice, in upper and lower case`,
		`11: apps[0].webhooks[3].events: "channel_created" is none of channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss, subscription_count`,
	},
	"webhooks-inherited": {"3: apps[0].webhooks[0].url: " + notHookURL},
	"admin-open": {
		`2: admin.listen: "0.0.0.0:9601" can be reached from other machines; set admin.token, which they must send, or listen on 127.0.0.1`,
	},
	"admin-pprof": {"2: admin.pprof: there is no listener to have the profiles; set admin.listen"},
	"admin-token": {
		"2: admin.token: it must be 16 characters or more, of ASCII, without spaces (openssl rand -hex 32 makes one)",
	},
	"auth-revalidate": {
		"2: auth.revalidate: 500ms is neither 0s (never) nor 1s or more",
		"2: auth.cache: 2m is not between 0s (no cache) and 1m, for which a right that was taken away could still be used",
	},
	"auth-no-api": {
		"2: auth.revalidate: there is no API to ask again; set auth.endpoint",
		"2: auth.cache: there is no API whose answers could be kept; set auth.endpoint",
	},
	"origins": {
		`6: apps[0].allowed_origins: "https://shop.example.com" must be a host only, without scheme, port and path; write "shop.example.com"`,
		`6: apps[0].allowed_origins: "localhost:3000" must be a host only, without scheme, port and path; write "localhost"`,
		`6: apps[0].allowed_origins: "shop.example.com/a" must be a host only, without scheme, port and path; write "shop.example.com"`,
		`6: apps[0].allowed_origins: "not a host" is not a host name, nor a pattern of one such as *.example.com`,
	},
}

func TestInvalidFiles(t *testing.T) {
	for name, path := range testdata(t, "invalid") {
		t.Run(name, func(t *testing.T) {
			l, err := Load(Options{File: path})
			wantError(t, err, inFile(t, path, invalidFiles, name)...)
			if reflect.DeepEqual(l.Config, Config{}) {
				t.Error("there is nothing to print")
			}
		})
	}
}

func TestValidateWithoutOrigins(t *testing.T) {
	c := Default()
	c.App.ID, c.App.Key, c.App.Secret = "1", "key", secret
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults with an app: %v", err)
	}
	c.Port = -1
	wantError(t, c.Validate(), "port: -1 is not a port, 1 to 65535, or 0 for any free one")
}

func TestValidValues(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"host name":      func(c *Config) { c.Host = "localhost" },
		"IPv6":           func(c *Config) { c.Host = "::" },
		"no admin":       func(c *Config) { c.Admin.Listen = "" },
		"admin anywhere": func(c *Config) { c.Admin.Listen, c.Admin.Token = ":0", "0123456789abcdef" },
		"admin by name":  func(c *Config) { c.Admin.Listen = "localhost:0" },
		"admin by IPv6":  func(c *Config) { c.Admin.Listen = "[::1]:0" },
		"API asked again": func(c *Config) {
			c.Auth.Endpoint, c.Auth.Revalidate, c.Auth.Cache = "http://127.0.0.1/", time.Second, time.Minute
		},
		"Redis":          func(c *Config) { c.Redis.URL = "redis://127.0.0.1:6379/1" },
		"Redis with TLS": func(c *Config) { c.Redis.URL = "rediss://user:p%2Fw@redis.example.com" },
		"Redis socket":   func(c *Config) { c.Redis.URL = "unix:///run/redis.sock?db=1" },
		"empty prefix":   func(c *Config) { c.Redis.Prefix = []string{""} },
		"source": func(c *Config) {
			c.Redis.URL, c.Redis.Prefix = "redis://127.0.0.1", nil
			c.Redis.Sources = []RedisSource{{Prefix: "", App: "1"}}
		},
		"two prefixes of an app": func(c *Config) {
			c.Redis.Sources = []RedisSource{{Prefix: "a-", App: "1"}, {Prefix: "a_", App: "1"}}
		},
		"endpoint":   func(c *Config) { c.Auth.Endpoint = "http://127.0.0.1:8000/broadcasting/auth" },
		"no headers": func(c *Config) { c.Auth.Headers = nil },
		"origins":    func(c *Config) { c.App.AllowedOrigins = []string{"*", "*.example.com", "xn--bcher-kva.example", "::1"} },
		"limits off": func(c *Config) {
			c.App.RateLimiting = RateLimiting{}
			c.App.MaxClientEvents, c.App.MaxPresenceMembers, c.App.MaxUserInfo, c.App.CacheSize = 0, 0, 0, 0
		},
		"webhooks": func(c *Config) {
			c.App.Webhooks = []Webhook{{
				URL: "https://user:pass@api.example.com:8443/a?b=c", Headers: map[string]string{"Authorization": "Bearer é\t"}, Events: webhookEvents,
			}, {URL: "http://[::1]/"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			c.App.ID, c.App.Key, c.App.Secret = "1", "key", secret
			change(&c)
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNoAppNamesTheWays(t *testing.T) {
	for _, way := range []string{"config.yaml", "BROADCASTD_APP_ID", "--env-file", "--dev"} {
		if !strings.Contains(noApp, way) {
			t.Errorf("%q does not tell of %s", noApp, way)
		}
	}
}
