package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"broadcastd/internal/redisurl"
)

// laravelNames are the variables of Reverb's config/reverb.php, whose values
// ours can take as they are. REVERB_HOST, _PORT and _SCHEME are not among
// them: they are where Laravel and browsers connect to.
var laravelNames = []struct{ name, path string }{
	{"REVERB_SERVER_HOST", "host"},
	{"REVERB_SERVER_PORT", "port"},
	{"REVERB_SERVER_PATH", "path"},
	{"REVERB_MAX_REQUEST_SIZE", "max_request_size"},
	{"REVERB_SCALING_ENABLED", "scaling.enabled"},
	{"REVERB_APP_ID", "app.id"},
	{"REVERB_APP_KEY", "app.key"},
	{"REVERB_APP_SECRET", "app.secret"},
	{"REVERB_APP_PING_INTERVAL", "app.ping_interval"},
	{"REVERB_APP_ACTIVITY_TIMEOUT", "app.activity_timeout"},
	{"REVERB_APP_MAX_CONNECTIONS", "app.max_connections"},
	{"REVERB_APP_MAX_MESSAGE_SIZE", "app.max_message_size"},
	{"REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "app.accept_client_events_from"},
	{"REVERB_APP_RATE_LIMITING_ENABLED", "app.rate_limiting.enabled"},
	{"REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", "app.rate_limiting.max_attempts"},
	{"REVERB_APP_RATE_LIMIT_DECAY_SECONDS", "app.rate_limiting.decay_seconds"},
	{"REVERB_APP_RATE_LIMIT_TERMINATE", "app.rate_limiting.terminate_on_limit"},
}

// laravel applies the names of Reverb and of Laravel's config/database.php,
// where no variable of our own sets the same. Empty ones count as not set.
func (l *loader) laravel(vars map[string]variable) {
	for _, n := range laravelNames {
		v, ok := vars[n.name]
		if !ok || v.text == "" || overridden(vars, n.path) {
			continue
		}
		if n.path == "path" {
			v.text = reverbPath(v.text)
		}
		k, _ := findKey(configKeys, n.path)
		l.set(k, v.text, v.origin)
	}
	if !overridden(vars, "redis.url") {
		l.laravelRedis(vars)
	}
	// Unlike elsewhere null is a value here: Laravel then has no prefix.
	if v, ok := vars["REDIS_PREFIX"]; ok && !overridden(vars, "redis.prefix") {
		l.cfg.Redis.Prefix = []string{v.text}
		l.from["redis.prefix"] = v.origin
	}
}

func overridden(vars map[string]variable, path string) bool {
	v, ok := vars[envName(path)]
	return ok && !v.null
}

// reverbPath gives a path the form of ours: Reverb takes "ws" and "/" too.
func reverbPath(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return ""
	}
	return "/" + path
}

// redisNames are the variables of Laravel's default Redis connection. Any of
// them says that there is a Redis.
var redisNames = []string{"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB"}

// laravelRedis makes redis.url of Laravel's variables.
func (l *loader) laravelRedis(vars map[string]variable) {
	origin := ""
	for _, name := range slices.Backward(redisNames) {
		if v := vars[name]; v.text != "" {
			origin = v.origin
		}
	}
	if origin == "" {
		return
	}
	u, err := redisURL(vars)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.cfg.Redis.URL = u
	l.from["redis.url"] = origin
}

// redisURL makes a URL of redisNames. As in Laravel, REDIS_URL decides, and
// the others give what it leaves out. Its errors quote no value.
func redisURL(vars map[string]variable) (string, error) {
	u, err := redisAddress(vars["REDIS_URL"], vars["REDIS_HOST"])
	if err != nil {
		return "", err
	}
	user := u.User.Username()
	password, ok := u.User.Password()
	if user == "" {
		user = vars["REDIS_USERNAME"].text
	}
	if !ok {
		password = vars["REDIS_PASSWORD"].text
	}
	u.User = nil
	// Laravel signs in with a password only.
	if password != "" {
		u.User = url.UserPassword(user, password)
	}
	db := vars["REDIS_DB"]
	if _, err := strconv.ParseUint(db.text, 10, 16); db.text != "" && err != nil {
		return "", fmt.Errorf("%s: expected the number of a database", db.origin)
	}
	switch {
	case u.Scheme == "unix" && u.RawQuery == "" && db.text != "":
		u.RawQuery = "db=" + db.text
	case u.Scheme != "unix" && strings.Trim(u.Path, "/") == "" && db.text != "":
		u.Path = "/" + db.text
	}
	if u.Scheme == "unix" || u.Port() != "" {
		return u.String(), nil
	}
	port := vars["REDIS_PORT"]
	if port.text == "" {
		port.text = "6379"
	}
	if _, err := strconv.ParseUint(port.text, 10, 16); err != nil {
		return "", fmt.Errorf("%s: expected a port's number; Kubernetes sets the variable for a Service called redis, "+
			"so set enableServiceLinks: false in the pod, or set BROADCASTD_REDIS_URL", port.origin)
	}
	u.Host = net.JoinHostPort(u.Hostname(), port.text)
	return u.String(), nil
}

// redisAddress is the URL as far as REDIS_URL or else REDIS_HOST tells it. A
// host can have a scheme, or be the path of a socket.
func redisAddress(address, host variable) (*url.URL, error) {
	if address.text != "" {
		u, err := url.Parse(address.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s", address.origin, notRedisURL)
		}
		if scheme, ok := redisSchemes[u.Scheme]; ok {
			u.Scheme = scheme
		}
		return u, nil
	}
	if strings.HasPrefix(host.text, "/") {
		return &url.URL{Scheme: "unix", Path: host.text}, nil
	}
	scheme, name, found := strings.Cut(host.text, "://")
	if !found {
		scheme, name = "redis", host.text
	}
	if name == "" {
		name = "127.0.0.1"
	}
	known, ok := redisSchemes[scheme]
	name = strings.Trim(name, "[]")
	if _, err := netip.ParseAddr(name); !ok || err != nil && strings.ContainsAny(name, ":/@?# ") {
		return nil, fmt.Errorf("%s: expected a host name, tls:// and a host name, or a socket's absolute path; the port goes into REDIS_PORT", host.origin)
	}
	return &url.URL{Scheme: known, Host: net.JoinHostPort(name, "")}, nil
}

// redisSchemes are Laravel's names for Redis's.
var redisSchemes = map[string]string{
	"redis": "redis", "tcp": "redis", "rediss": "rediss", "tls": "rediss",
}

const notRedisURL = redisurl.Form
