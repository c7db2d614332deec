package server_test

import (
	"net/http"
	"strings"
	"testing"

	"broadcastd/internal/config"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		named := c.App
		named.ID, named.Key = "named", "named-key"
		named.AllowedOrigins = []string{"example.com", "*.Example.org", "localhost"}
		c.Apps = []config.App{named}
	})
	tests := map[string]struct {
		target, origin string
		want           int // close code; 0: connected
	}{
		"protocol 5":           {target: "/app/app-key?protocol=5"},
		"protocol 6":           {target: "/app/app-key?protocol=6"},
		"protocol 7":           {target: "/app/app-key?protocol=7"},
		"protocol 4":           {target: "/app/app-key?protocol=4", want: 4007},
		"protocol 8":           {target: "/app/app-key?protocol=8", want: 4007},
		"protocol -1":          {target: "/app/app-key?protocol=-1", want: 4007},
		"protocol abc":         {target: "/app/app-key?protocol=abc", want: 4006},
		"protocol 7.5":         {target: "/app/app-key?protocol=7.5", want: 4006},
		"protocol past an int": {target: "/app/app-key?protocol=77777777777777777777", want: 4006},
		"no protocol":          {target: "/app/app-key", want: 4008},
		"empty protocol":       {target: "/app/app-key?protocol=", want: 4008},
		"unknown key":          {target: "/app/other-key?protocol=7", want: 4001},
		"id instead of key":    {target: "/app/app-id?protocol=7", want: 4001},

		"any origin":        {target: "/app/app-key?protocol=7", origin: "https://evil.example"},
		"null origin":       {target: "/app/app-key?protocol=7", origin: "null"},
		"no origin":         {target: "/app/named-key?protocol=7"},
		"named origin":      {target: "/app/named-key?protocol=7", origin: "https://example.com"},
		"case and port":     {target: "/app/named-key?protocol=7", origin: "HTTP://EXAMPLE.com:8443"},
		"wildcard":          {target: "/app/named-key?protocol=7", origin: "https://app.example.org"},
		"wildcard deep":     {target: "/app/named-key?protocol=7", origin: "https://a.b.example.org"},
		"localhost":         {target: "/app/named-key?protocol=7", origin: "http://localhost:3000"},
		"subdomain":         {target: "/app/named-key?protocol=7", origin: "https://app.example.com", want: 4009},
		"name as prefix":    {target: "/app/named-key?protocol=7", origin: "https://example.com.evil.test", want: 4009},
		"name as suffix":    {target: "/app/named-key?protocol=7", origin: "https://evilexample.com", want: 4009},
		"name as user":      {target: "/app/named-key?protocol=7", origin: "https://example.com@evil.test", want: 4009},
		"name as path":      {target: "/app/named-key?protocol=7", origin: "https://evil.test/example.com", want: 4009},
		"wildcard's parent": {target: "/app/named-key?protocol=7", origin: "https://example.org", want: 4009},
		"sandboxed":         {target: "/app/named-key?protocol=7", origin: "null", want: 4009},
		"no host":           {target: "/app/named-key?protocol=7", origin: "example.com", want: 4009},
		"nonsense":          {target: "/app/named-key?protocol=7", origin: "https://%zz", want: 4009},

		"user before name":    {target: "/app/named-key?protocol=7", origin: "https://evil.test@example.com", want: 4009},
		"user and password":   {target: "/app/named-key?protocol=7", origin: "https://a:b@example.com", want: 4009},
		"path behind name":    {target: "/app/named-key?protocol=7", origin: "https://example.com/evil.test", want: 4009},
		"query behind name":   {target: "/app/named-key?protocol=7", origin: "https://example.com?evil.test", want: 4009},
		"fragment":            {target: "/app/named-key?protocol=7", origin: "https://example.com#.evil.test", want: 4009},
		"name in fragment":    {target: "/app/named-key?protocol=7", origin: "https://evil.test#.example.com", want: 4009},
		"backslash":           {target: "/app/named-key?protocol=7", origin: `https://evil.test\\.example.org`, want: 4009},
		"percent NUL":         {target: "/app/named-key?protocol=7", origin: "https://evil.test%00.example.org", want: 4009},
		"percent slash":       {target: "/app/named-key?protocol=7", origin: "https://evil.test%2f.example.org", want: 4009},
		"trailing dot":        {target: "/app/named-key?protocol=7", origin: "https://example.com.", want: 4009},
		"wildcard, dot":       {target: "/app/named-key?protocol=7", origin: "https://app.example.org.", want: 4009},
		"wildcard, hyphen":    {target: "/app/named-key?protocol=7", origin: "https://evil-example.org", want: 4009},
		"wildcard, no dot":    {target: "/app/named-key?protocol=7", origin: "https://evilexample.org", want: 4009},
		"wildcard as prefix":  {target: "/app/named-key?protocol=7", origin: "https://app.example.org.evil.test", want: 4009},
		"no port behind :":    {target: "/app/named-key?protocol=7", origin: "https://example.com:"},
		"name as port":        {target: "/app/named-key?protocol=7", origin: "https://evil.test:example.com", want: 4009},
		"two origins":         {target: "/app/named-key?protocol=7", origin: "https://example.com https://evil.test", want: 4009},
		"two origins, commas": {target: "/app/named-key?protocol=7", origin: "https://example.com,https://evil.test", want: 4009},
		"null as host":        {target: "/app/named-key?protocol=7", origin: "https://null", want: 4009},
		"NULL":                {target: "/app/named-key?protocol=7", origin: "NULL", want: 4009},
		"punycode lookalike":  {target: "/app/named-key?protocol=7", origin: "https://xn--exmple-cua.com", want: 4009},
		"lookalike":           {target: "/app/named-key?protocol=7", origin: "https://ex\u0430mple.com", want: 4009},
		"loopback by number":  {target: "/app/named-key?protocol=7", origin: "http://127.0.0.1", want: 4009},
		"a phone's web view":  {target: "/app/named-key?protocol=7", origin: "capacitor://localhost"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if test.origin != "" {
				header = append(header, "Origin: "+test.origin)
			}
			c := d.open(t, test.target, header...)
			if test.want == 0 {
				c.wantEstablished()
				c.fence()
				return
			}
			c.wantError(test.want)
			c.wantClose(test.want)
		})
	}
}

func TestHandshakeLimit(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxConnections = 2 })
	const connections = `broadcastd_connections{app="app-id"}`
	first, second := d.connect(t), d.connect(t)

	for range 3 {
		refused := d.open(t, appTarget)
		refused.wantError(4100)
		refused.wantClose(4100)
	}
	// Neither those nor requests that are no handshake count.
	d.do(t, http.MethodGet, appTarget, nil, nil)
	d.waitMetric(t, connections, 2)

	first.write(closeFrame(1000, ""))
	first.wantClose(1000)
	_ = second.nc.Close()
	d.waitMetric(t, connections, 0)
	d.connect(t).fence()
	d.connect(t).fence()
	if got := d.metric(t, `broadcastd_connections_refused_total{reason="over_capacity"}`); got != 3 {
		t.Errorf("%v refusals counted, want 3", got)
	}
}

func TestNoHandshake(t *testing.T) {
	t.Parallel()
	d := start(t)
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	const sample = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	tests := map[string]struct {
		request string
		want    int
		header  string // that the answer must have
	}{
		"plain GET":         {"GET /app/app-key?protocol=7 HTTP/1.1\r\n", 426, "Upgrade"},
		"plain GET, no app": {"GET /app/other?protocol=7 HTTP/1.1\r\n", 426, "Upgrade"},
		"HTTP/1.0":          {"GET /app/app-key?protocol=7 HTTP/1.0\r\n" + upgrade + sample, 426, ""},
		"old version":       {"GET /app/app-key?protocol=7 HTTP/1.1\r\n" + strings.Replace(upgrade, "13", "8", 1) + sample, 400, "Sec-WebSocket-Version"},
		"no key":            {"GET /app/app-key?protocol=7 HTTP/1.1\r\n" + upgrade, 400, ""},
		"two keys":          {"GET /app/app-key?protocol=7 HTTP/1.1\r\n" + upgrade + sample + sample, 400, ""},
		"POST":              {"POST /app/app-key?protocol=7 HTTP/1.1\r\nContent-Length: 0\r\n" + upgrade + sample, 405, "Allow"},
		"HEAD":              {"HEAD /app/app-key?protocol=7 HTTP/1.1\r\n", 405, "Allow"},
		"no key in path":    {"GET /app/ HTTP/1.1\r\n", 404, ""},
		"deeper path":       {"GET /app/app-key/more HTTP/1.1\r\n", 404, ""},
		"large header":      {"GET /app/app-key?protocol=7 HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<15) + "\r\n", 431, ""},
		"nonsense":          {"\x16\x03\x01\x02\r\n", 400, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := d.dial(t)
			c.write([]byte(test.request + "Host: localhost\r\n\r\n"))
			res := c.response()
			if res.StatusCode != test.want {
				t.Errorf("status %s, want %d", res.Status, test.want)
			}
			if test.header != "" && res.Header.Get(test.header) == "" {
				t.Errorf("answer has no %s header: %v", test.header, res.Header)
			}
		})
	}
}

func TestPathPrefix(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.Path = "/ws/live" })
	c := d.connect(t)
	c.subscribe("jobs")
	d.publish(t, "jobs", "e", "{}") // signed without the prefix, as Laravel does
	c.wantEvent("jobs", "e", "{}")
	if got := d.do(t, http.MethodGet, "/up", nil, nil); got.status != http.StatusOK {
		t.Errorf("/up: %d %s", got.status, got.body)
	}

	d.path = ""
	for _, target := range []string{appTarget, "/up", "/ws/liveapp/app-key"} {
		wantErrorLine(t, d.do(t, http.MethodGet, target, nil, nil), http.StatusNotFound)
	}
	bare := d.open(t, appTarget)
	bare.wantError(4005)
	bare.wantClose(4005)
}
