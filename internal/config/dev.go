package config

import (
	"net/netip"
	"strings"
)

// DevSecret is the secret of the app that --dev makes up, and no secret.
const DevSecret = "app-secret"

// dev makes a configuration that needs nothing: it listens on this machine
// only, and has an app. As a flag it overrides the file's host; another host
// in a flag or a variable is a contradiction that the user must solve.
func (l *loader) dev() {
	origin := l.from["host"]
	asked := strings.HasPrefix(origin, "flag ") || strings.HasPrefix(origin, "env ") || strings.HasPrefix(origin, "env-file ")
	switch {
	case isLoopback(l.cfg.Host):
	case asked:
		l.fail(origin, "host: %s is not a loopback address, and --dev listens on this machine only; leave out one of them", quote(l.cfg.Host))
	default:
		l.cfg.Host = "127.0.0.1"
		l.from["host"] = originDev
	}
	if len(l.cfg.AllApps()) > 0 {
		return
	}
	l.cfg.App.ID, l.cfg.App.Key, l.cfg.App.Secret = "app-id", "app-key", DevSecret
	for _, path := range []string{"app.id", "app.key", "app.secret"} {
		l.from[path] = originDev
	}
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
