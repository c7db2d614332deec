package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// noApp tells the three ways out.
const noApp = "no app is configured; set app.id, app.key and app.secret in config.yaml, " +
	"or BROADCASTD_APP_ID, BROADCASTD_APP_KEY and BROADCASTD_APP_SECRET in the environment " +
	"(REVERB_APP_ID and so on work too, also from --env-file=.env), or start with --dev to try it out"

func (v *validator) apps(c *Config) {
	all := c.AllApps()
	if len(all) == 0 {
		v.fail("app", noApp)
		return
	}
	// The first of AllApps is Config.App, unless that has no credentials.
	first := len(c.Apps) - len(all)
	ids, keys := map[string]string{}, map[string]string{}
	for i := range all {
		path := "app"
		if n := first + i; n >= 0 {
			path = fmt.Sprintf("apps[%d]", n)
		}
		v.app(path, &all[i])
		v.unique(path+".id", all[i].ID, ids)
		v.unique(path+".key", all[i].Key, keys)
	}
}

// unique refuses a value that another app has.
func (v *validator) unique(path, value string, taken map[string]string) {
	if other, ok := taken[value]; ok && value != "" {
		v.fail(path, "%s is also %s", quote(value), other)
		return
	}
	taken[value] = path
}

func (v *validator) app(path string, a *App) {
	v.credential(path+".id", a.ID)
	v.credential(path+".key", a.Key)
	if a.Secret == "" {
		v.fail(path+".secret", "is missing")
	}
	if len(a.AllowedOrigins) == 0 {
		v.fail(path+".allowed_origins", `the list is empty, so no browser could connect; "*" allows every site`)
	}
	for _, origin := range a.AllowedOrigins {
		v.origin(path+".allowed_origins", origin)
	}
	v.positive(path+".ping_interval", a.PingInterval)
	v.positive(path+".pong_timeout", a.PongTimeout)
	// Clients get whole seconds, and pusher-js throws at 0.
	if a.ActivityTimeout < time.Second {
		v.fail(path+".activity_timeout", "%s is too short; it must be at least 1s", displayDuration(a.ActivityTimeout))
	}
	v.atLeast(path+".max_connections", a.MaxConnections, 0)
	v.atLeast(path+".max_message_size", a.MaxMessageSize, 1)
	v.atLeast(path+".max_event_size", a.MaxEventSize, 1)
	if a.MaxOutbox < a.MaxEventSize {
		v.fail(path+".max_outbox", "%s is less than one event of max_event_size, %s", displaySize(a.MaxOutbox), displaySize(a.MaxEventSize))
	}
	v.atLeast(path+".max_subscriptions", a.MaxSubscriptions, 0)
	v.oneOf(path+".accept_client_events_from", a.AcceptClientEventsFrom, "members", "all", "none")
	v.atLeast(path+".max_client_events_per_second", a.MaxClientEvents, 0)
	v.atLeast(path+".max_events_per_second", a.MaxEvents, 0)
	v.atLeast(path+".max_presence_members", a.MaxPresenceMembers, 0)
	v.atLeast(path+".max_user_info", a.MaxUserInfo, 0)
	v.positive(path+".cache_ttl", a.CacheTTL)
	v.atLeast(path+".cache_size", a.CacheSize, 0)
	for i := range a.Webhooks {
		v.webhook(fmt.Sprintf("%s.webhooks[%d]", path, i), &a.Webhooks[i])
	}
	if a.RateLimiting.Enabled {
		v.atLeast(path+".rate_limiting.max_attempts", a.RateLimiting.MaxAttempts, 1)
		v.positive(path+".rate_limiting.decay_seconds", a.RateLimiting.Decay)
	}
}

// credential checks an id or key, which is part of URLs and of signatures.
func (v *validator) credential(path, value string) {
	switch {
	case value == "":
		v.fail(path, "is missing")
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("/?#%:\\", r) }):
		v.fail(path, "has a character that cannot be in a URL's path; use letters, digits, - and _")
	}
}

// origin checks the pattern of a host: Reverb compares neither scheme nor port.
func (v *validator) origin(path, pattern string) {
	host := pattern
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host = rest
	}
	host, _, _ = strings.Cut(host, "/")
	if name, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") == "" {
		host = name
	}
	host = strings.Trim(host, "[]") // brackets belong to a URL
	_, err := netip.ParseAddr(host)
	valid := err == nil || host != "" && !strings.ContainsFunc(host, func(r rune) bool { return !isHostChar(r) })
	switch {
	case !valid:
		v.fail(path, "%s is not a host name, nor a pattern of one such as *.example.com", quote(pattern))
	case pattern != "*" && strings.Trim(pattern, "*?.") == "":
		v.fail(path, "%s matches every site; write \"*\" if that is meant", quote(pattern))
	case host != pattern:
		v.fail(path, "%s must be a host only, without scheme, port and path; write %q", quote(pattern), host)
	}
}

// isHostChar tells what a host name or a pattern of one is made of; browsers
// send international names in ASCII.
func isHostChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._*", r)
}
