package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"broadcastd/internal/redisurl"
)

// Validate reports what the daemon cannot run with: one line for each mistake,
// which names the setting.
func (c *Config) Validate() error { return c.validate(nil) }

// validate puts in front of each mistake where the value came from.
func (l Loaded) validate() error { return l.Config.validate(l.From) }

func (c *Config) validate(from map[string]string) error {
	v := validator{from: from}
	v.listeners(c)
	v.redis(c)
	v.scaling(c)
	v.auth(&c.Auth)
	v.apps(c)
	return errors.Join(v.errs...)
}

type validator struct {
	from map[string]string
	errs []error
}

// fail notes a mistake. The message must not quote secrets.
func (v *validator) fail(path, format string, args ...any) {
	err := fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...))
	origin := v.from[path]
	if taken, ok := v.from[origin]; ok { // by an entry of apps, from app
		origin = taken
	}
	if origin != "" && origin != originDefault {
		err = fmt.Errorf("%s: %w", origin, err)
	}
	v.errs = append(v.errs, err)
}

func (v *validator) positive(path string, d time.Duration) {
	if d <= 0 {
		v.fail(path, "%s is too short; it must be longer than 0", displayDuration(d))
	}
}

func (v *validator) atLeast(path string, n, least int) {
	if n < least {
		v.fail(path, "%d is too small; it must be at least %d", n, least)
	}
}

func (v *validator) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.fail(path, "%s is none of %s", quote(value), strings.Join(allowed, ", "))
	}
}

// path checks the path of a route.
func (v *validator) path(path, value string) {
	if !strings.HasPrefix(value, "/") || strings.HasSuffix(value, "/") ||
		strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || strings.ContainsRune("?#{}%", r) }) {
		v.fail(path, "%s is not a path such as /ws, with a / at its beginning, none at its end, and no special characters", quote(value))
	}
}

// requestTime is what HTTP requests under way get at the end, and a little more.
const requestTime = 2 * time.Second

// maxGather is a delay that people notice.
const maxGather = time.Second

func (v *validator) listeners(c *Config) {
	if _, err := netip.ParseAddr(c.Host); err != nil && (c.Host == "" || strings.ContainsAny(c.Host, ":/[]@ ")) {
		v.fail("host", "%s is not an address or host name without a port", quote(c.Host))
	}
	if !isPort(c.Port) {
		v.fail("port", "%d is not a port, 1 to 65535, or 0 for any free one", c.Port)
	}
	if c.ReusePort && runtime.GOOS != "linux" {
		v.fail("reuse_port", "only Linux shares a port's connections out; set it to false")
	}
	if c.Path != "" {
		v.path("path", c.Path)
	}
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		v.fail("tls.key", "is missing; it is the file of the key to tls.cert")
	case c.TLS.Cert == "" && c.TLS.Key != "":
		v.fail("tls.cert", "is missing; it is the file of the certificate to tls.key")
	}
	v.connections(c)
	v.atLeast("max_request_size", c.MaxRequestSize, 1)
	if c.Gather < 0 || c.Gather > maxGather {
		v.fail("gather", "%s is not between 0s (write each event at once) and %s", c.Gather, maxGather)
	}
	v.positive("shutdown_timeout", c.ShutdownTimeout)
	switch {
	case c.ShutdownDelay < 0:
		v.fail("shutdown_delay", "%s is less than 0s (clients are sent away at once)", c.ShutdownDelay)
	case c.ShutdownSpread < 0:
		v.fail("shutdown_spread", "%s is less than 0s (all clients are closed at the same time)", c.ShutdownSpread)
	case c.ShutdownDelay+c.ShutdownSpread > 0 && c.ShutdownDelay+c.ShutdownSpread+requestTime > c.ShutdownTimeout:
		v.fail("shutdown_timeout", "%s is too short for shutdown_delay (%s), shutdown_spread (%s) and %s for what is under way",
			displayDuration(c.ShutdownTimeout), displayDuration(c.ShutdownDelay), displayDuration(c.ShutdownSpread), displayDuration(requestTime))
	}
	if c.ShutdownCloseCode != 4100 && c.ShutdownCloseCode != 4200 {
		v.fail("shutdown_close_code", "%d is neither 4200 (clients reconnect at once) nor 4100 (after a second)", c.ShutdownCloseCode)
	}
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.admin(&c.Admin)
}

// minToken is too long for a token to be guessed.
const minToken = 16

func (v *validator) admin(a *Admin) {
	host, port, err := net.SplitHostPort(a.Listen)
	n, errPort := strconv.Atoi(port)
	switch {
	case a.Listen == "":
	case err != nil || errPort != nil || !isPort(n):
		v.fail("admin.listen", "%s is not an address and a port such as 127.0.0.1:9601", quote(a.Listen))
	case a.Token == "" && !isLoopback(host):
		v.fail("admin.listen", "%s can be reached from other machines; set admin.token, which they must send, or listen on 127.0.0.1", quote(a.Listen))
	}
	if a.Pprof && a.Listen == "" {
		v.fail("admin.pprof", "there is no listener to have the profiles; set admin.listen")
	}
	if a.Token != "" && (len(a.Token) < minToken || strings.ContainsFunc(a.Token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		v.fail("admin.token", "it must be %d characters or more, of ASCII, without spaces (openssl rand -hex 32 makes one)", minToken)
	}
}

func (v *validator) connections(c *Config) {
	v.atLeast("max_connections", c.MaxConnections, 0)
	v.atLeast("max_connections_per_address", c.MaxConnectionsPerAddress, 0)
	for _, text := range c.TrustedProxies {
		if _, err := ParseNetwork(text); err != nil {
			v.fail("trusted_proxies", "%w", err)
		}
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		v.fail("proxy_protocol", "anybody could then claim any address; list in trusted_proxies who may send its header")
	}
	v.positive("handshake_timeout", c.HandshakeTimeout)
}

// ParseNetwork reads an address, or a network such as 10.0.0.0/8.
func ParseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if addr, errAddr := netip.ParseAddr(text); errAddr == nil && addr.Zone() == "" {
		network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is neither an address nor a network such as 10.0.0.0/8 or fd00::/8", quote(text))
	}
	return network.Masked(), nil
}

func isPort(n int) bool { return n >= 0 && n <= 65535 }

func (v *validator) redis(c *Config) {
	r, apps, hears := &c.Redis, c.AllApps(), c.HearsPublish()
	v.redisURL("redis.url", r.URL)
	v.oneOf("redis.source", r.Source, SourcePubSub, SourceStream, SourceBoth)
	switch {
	case r.Source == SourceBoth && r.URL == "":
		v.fail("redis.source", "both needs a Redis where Laravel publishes; set redis.url")
	case r.Source == SourceStream && c.LogURL() == "":
		v.fail("redis.source", "stream needs a Redis that has the log; set redis.url or scaling.redis")
	}
	seen := map[string]bool{}
	for _, prefix := range r.Prefix {
		if seen[prefix] {
			v.fail("redis.prefix", "%s stands twice in the list", quote(prefix))
		}
		seen[prefix] = true
		if prefix == "" && len(apps) > 1 {
			v.fail("redis.prefix", "an empty prefix hears every channel, so with several apps nothing tells whose an event is")
		}
	}
	if hears && len(r.Prefix) == 0 && len(r.Sources) == 0 {
		v.fail("redis.prefix", `the list is empty, so nothing would be heard; "" hears every channel`)
	}
	if hears && len(apps) > 1 && len(r.Sources) == 0 {
		v.fail("redis.sources", "with several apps, list which prefix belongs to which app, as {prefix: ..., app: <its id>}")
	}
	seen = map[string]bool{}
	for i, s := range r.Sources {
		path := fmt.Sprintf("redis.sources[%d]", i)
		if !slices.ContainsFunc(apps, func(a App) bool { return a.ID == s.App }) {
			v.fail(path+".app", "no app has the id %s", quote(s.App))
		}
		if seen[s.Prefix] {
			v.fail(path+".prefix", "%s belongs to another source already", quote(s.Prefix))
		}
		seen[s.Prefix] = true
		if s.Prefix == "" && len(apps) > 1 {
			v.fail(path+".prefix", "an empty prefix hears every channel, so with several apps nothing tells whose an event is")
		}
	}
}

// redisURL's errors quote nothing of the URL.
func (v *validator) redisURL(path, value string) {
	if value == "" {
		return
	}
	if _, err := redisurl.Parse(value); err != nil {
		v.fail(path, "%w", err)
	}
}

// Limits of scaling: more partitions cost each node as many reads, a shorter
// lease takes busy nodes for dead ones, and a shorter log forgets what a node
// needs that was away for a second.
const (
	maxPartitions = 256
	minLease      = time.Second
	maxLease      = 5 * time.Minute
	minLogLength  = 1000
)

func (v *validator) scaling(c *Config) {
	s := &c.Scaling
	if s.Enabled && c.LogURL() == "" {
		v.fail("scaling.enabled", "the nodes need a Redis to share; set scaling.redis or redis.url")
	}
	if s.ClusterLimits && !s.Enabled {
		v.fail("scaling.cluster_limits", "it is for several nodes: set scaling.enabled too")
	}
	if before := len(v.errs); s.Redis != "" {
		v.redisURL("scaling.redis", s.Redis)
		if len(v.errs) == before && !c.ReadsLog() {
			v.fail("scaling.redis", "nothing would use it: set scaling.enabled, or redis.source to stream or both")
		}
	}
	if strings.ContainsFunc(s.Prefix, func(r rune) bool { return r == '{' || r == '}' || unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		v.fail("scaling.prefix", "%s has a space, { or } in it; braces are how a Cluster finds a key's node", quote(s.Prefix))
	}
	if s.Partitions < 1 || s.Partitions > maxPartitions {
		v.fail("scaling.partitions", "%d is not between 1 and %d", s.Partitions, maxPartitions)
	}
	if s.Lease < minLease || s.Lease > maxLease {
		v.fail("scaling.lease", "%s is not between %s and %s", displayDuration(s.Lease), displayDuration(minLease), displayDuration(maxLease))
	}
	v.atLeast("scaling.log_length", s.LogLength, minLogLength)
	if strings.ContainsFunc(s.Node, func(r rune) bool { return !unicode.IsPrint(r) }) {
		v.fail("scaling.node", "%s has a character that cannot be printed", quote(s.Node))
	}
}

// minRevalidate keeps a typo from flooding the API, maxAuthCache a cache from
// becoming who decides.
const (
	minRevalidate = time.Second
	maxAuthCache  = time.Minute
)

func (v *validator) auth(a *Auth) {
	if a.Endpoint != "" && !isWebURL(a.Endpoint) {
		v.fail("auth.endpoint", "expected an absolute URL such as https://api.example.com/broadcasting/auth")
	}
	if a.UserEndpoint != "" && !isWebURL(a.UserEndpoint) {
		v.fail("auth.user_endpoint", "expected an absolute URL such as https://api.example.com/broadcasting/user-auth")
	}
	v.ownPath("auth.path", a.Path)
	v.ownPath("auth.user_path", a.UserPath)
	if a.UserPath == a.Path {
		v.fail("auth.user_path", "%s is also auth.path", quote(a.UserPath))
	}
	for _, h := range a.Headers {
		if !isToken(h) {
			v.fail("auth.headers", "%s is not the name of an HTTP header", quote(h))
		}
	}
	v.positive("auth.timeout", a.Timeout)
	v.atLeast("auth.max_concurrent", a.MaxConcurrent, 1)
	v.positive("auth.max_wait", a.MaxWait)
	switch {
	case a.Revalidate == 0:
	case a.Revalidate < minRevalidate:
		v.fail("auth.revalidate", "%s is neither 0s (never) nor %s or more", displayDuration(a.Revalidate), minRevalidate)
	case a.Endpoint == "":
		v.fail("auth.revalidate", "there is no API to ask again; set auth.endpoint")
	}
	switch {
	case a.Cache == 0:
	case a.Cache < 0 || a.Cache > maxAuthCache:
		v.fail("auth.cache", "%s is not between 0s (no cache) and %s, for which a right that was taken away could still be used", displayDuration(a.Cache), displayDuration(maxAuthCache))
	case a.Endpoint == "":
		v.fail("auth.cache", "there is no API whose answers could be kept; set auth.endpoint")
	}
}

// isWebURL tells an absolute http or https URL.
func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.Fragment == ""
}

// ownPath checks the path of a route beside the server's others.
func (v *validator) ownPath(path, value string) {
	v.path(path, value)
	if first, _, _ := strings.Cut(strings.TrimPrefix(value, "/"), "/"); slices.Contains(ownRoutes, first) {
		v.fail(path, "%s begins with a route that the server has already", quote(value))
	}
}

// ownRoutes are the first parts of the server's other routes.
var ownRoutes = []string{"app", "apps", "up", "healthz", "readyz"}

// isToken tells the name of an HTTP header (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
			strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}
