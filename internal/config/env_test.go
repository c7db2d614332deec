package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestEnvironmentSetsEverySetting(t *testing.T) {
	values := map[string]string{
		"host": "127.0.0.1", "port": "9", "path": "/ws", "max_request_size": "9", "max_connections": "9", "max_connections_per_address": "9", "trusted_proxies": "10.0.0.0/8,::1", "proxy_protocol": "true", "handshake_timeout": "9", "gather": "9ms", "shutdown_timeout": "9", "shutdown_delay": "1s", "shutdown_spread": "2s", "debug": "true",
		"reuse_port": "true", "tls.cert": "cert.pem", "tls.key": "key.pem",
		"log.level": "warn", "log.format": "json", "admin.listen": "127.0.0.1:9", "admin.token": "0123456789abcdef", "admin.pprof": "true",
		"redis.url": "redis://127.0.0.1:9", "redis.prefix": "a-, b-", "redis.required": "1",
		"redis.source":    "both",
		"scaling.enabled": "true", "scaling.redis": "redis://127.0.0.1:9/9", "scaling.prefix": "", "scaling.partitions": "9", "scaling.lease": "9",
		"scaling.log_length": "9000", "scaling.node": "nine", "scaling.cluster_limits": "true",
		"redis.sources":       `[{"prefix": "a-", "app": "1"}]`,
		"shutdown_close_code": "4100",
		"auth.endpoint":       "http://127.0.0.1:9/a",
		"auth.path":           "/auth",
		"auth.user_endpoint":  "http://127.0.0.1:9/u",
		"auth.user_path":      "/user-auth",
		"auth.headers":        "Cookie,X-Two",
		"auth.timeout":        "9s",
		"auth.max_concurrent": "9",
		"auth.max_wait":       "9m",
		"auth.revalidate":     "9m",
		"auth.cache":          "9s",
		"app.id":              "1", "app.key": "key", "app.secret": secret,
		"app.allowed_origins": "*.example.com", "app.ping_interval": "9", "app.activity_timeout": "9", "app.pong_timeout": "9",
		"app.max_connections": "9", "app.max_message_size": "9B", "app.max_event_size": "9KB", "app.max_outbox": "9MB", "app.max_subscriptions": "9",
		"app.accept_client_events_from": "none", "app.max_client_events_per_second": "9",
		"app.max_events_per_second": "9", "app.max_presence_members": "9", "app.max_user_info": "9", "app.cache_ttl": "9", "app.cache_size": "9",
		"app.subscription_count":    "true",
		"app.compression":           "true",
		"app.webhooks":              `[{"url": "http://127.0.0.1:9/h", "headers": {"X-Token": "` + secret + `"}}]`,
		"app.rate_limiting.enabled": "true", "app.rate_limiting.max_attempts": "9",
		"app.rate_limiting.decay_seconds": "9", "app.rate_limiting.terminate_on_limit": "true",
		"apps": `[{id: "2", key: other, secret: ` + secret + `, pong_timeout: 7}]`,
	}
	var env []string
	for path, value := range values {
		env = append(env, envName(path)+"="+value)
	}
	l := mustLoad(t, Options{File: shipped, Env: env})
	got, untouched := reflect.ValueOf(l.Config), reflect.ValueOf(Default())
	for _, k := range configKeys {
		if reflect.DeepEqual(k.in(got).Interface(), k.in(untouched).Interface()) {
			t.Errorf("%s did not set %s", envName(k.path), k.path)
		}
		if want := "env " + envName(k.path); l.From[k.path] != want {
			t.Errorf("%s is from %q, want %q", k.path, l.From[k.path], want)
		}
	}
	if app := l.Config.Apps[0]; app.PongTimeout != 7e9 || app.MaxConnections != 9 || l.From["apps[0].pong_timeout"] != "env BROADCASTD_APPS" {
		t.Errorf("the app of BROADCASTD_APPS: %+v from %q", app, l.From["apps[0].pong_timeout"])
	}
}

func TestLists(t *testing.T) {
	for name, c := range map[string]struct {
		env           string
		prefix, hosts []string
	}{
		"empty prefix":   {"BROADCASTD_REDIS_PREFIX=", []string{""}, []string{"*"}},
		"word empty":     {"BROADCASTD_REDIS_PREFIX=(empty)", []string{""}, []string{"*"}},
		"null":           {"BROADCASTD_REDIS_PREFIX=null", Default().Redis.Prefix, []string{"*"}},
		"quoted":         {`BROADCASTD_REDIS_PREFIX="a-,b-"`, []string{"a-", "b-"}, []string{"*"}},
		"spaces, commas": {"BROADCASTD_APP_ALLOWED_ORIGINS= a , ,b,", Default().Redis.Prefix, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := mustLoad(t, Options{Env: append([]string{c.env}, withApp...)})
			if got := l.Config.Redis.Prefix; !reflect.DeepEqual(got, c.prefix) {
				t.Errorf("redis.prefix %q, want %q", got, c.prefix)
			}
			if got := l.Config.App.AllowedOrigins; !reflect.DeepEqual(got, c.hosts) {
				t.Errorf("app.allowed_origins %q, want %q", got, c.hosts)
			}
		})
	}
}

func TestEmptyListsReplaceTheFiles(t *testing.T) {
	path := write(t, "c.yaml", "apps: [{id: a, key: a, secret: "+secret+"}]\n")
	l := mustLoad(t, Options{File: path, Env: append([]string{"BROADCASTD_APPS=", "BROADCASTD_AUTH_HEADERS="}, withApp...)})
	if len(l.Config.Apps) != 0 || len(l.Config.Auth.Headers) != 0 {
		t.Errorf("apps %+v and headers %q, want none", l.Config.Apps, l.Config.Auth.Headers)
	}
}

func TestBadEnvironment(t *testing.T) {
	const link = "unknown variable; Kubernetes sets it for a Service called broadcastd, so set enableServiceLinks: false in the pod"
	for name, c := range map[string]struct {
		env  []string
		want []string
	}{
		"near":       {[]string{"BROADCASTD_REDIS_ULR=a"}, []string{`env BROADCASTD_REDIS_ULR: unknown variable; did you mean "BROADCASTD_REDIS_URL"?`}},
		"no section": {[]string{"BROADCASTD_SECRET=" + secret}, []string{`env BROADCASTD_SECRET: unknown variable; did you mean "BROADCASTD_APP_SECRET"?`}},
		"far":        {[]string{"BROADCASTD_CLUSTER=a"}, []string{`env BROADCASTD_CLUSTER: unknown variable`}},
		"kubernetes": {
			[]string{"BROADCASTD_PORT=tcp://10.0.0.1:8080", "BROADCASTD_SERVICE_HOST=10.0.0.1", "BROADCASTD_PORT_8080_TCP=tcp://10.0.0.1:8080"},
			[]string{
				`env BROADCASTD_PORT: port: "tcp://10.0.0.1:8080" is not an integer`,
				"env BROADCASTD_PORT_8080_TCP: " + link,
				"env BROADCASTD_SERVICE_HOST: " + link,
			},
		},
		"bool":        {[]string{"BROADCASTD_DEBUG=yes"}, []string{`env BROADCASTD_DEBUG: debug: "yes" is neither true nor false`}},
		"empty int":   {[]string{"BROADCASTD_PORT="}, []string{`env BROADCASTD_PORT: port: "" is not an integer`}},
		"apps":        {[]string{"BROADCASTD_APPS=" + secret}, []string{`env BROADCASTD_APPS: apps: expected a list in YAML or JSON, got a string`}},
		"apps' key":   {[]string{"BROADCASTD_APPS=[{id: a, sekret: " + secret + "}]"}, []string{`env BROADCASTD_APPS: unknown key "apps[0].sekret"; did you mean "apps[0].secret"?`}},
		"apps' YAML":  {[]string{"BROADCASTD_APPS=[{secret: " + secret}, []string{`env BROADCASTD_APPS:1: not valid YAML: did not find expected ',' or '}'`}},
		"reverb":      {[]string{"REVERB_SERVER_PORT=http"}, []string{`env REVERB_SERVER_PORT: port: "http" is not an integer`}},
		"scaling":     {[]string{"REVERB_SCALING_ENABLED=true"}, []string{"env REVERB_SCALING_ENABLED: scaling.enabled: the nodes need a Redis to share; set scaling.redis or redis.url"}},
		"scaling 2":   {[]string{"REVERB_SCALING_ENABLED=yes"}, []string{`env REVERB_SCALING_ENABLED: scaling.enabled: "yes" is neither true nor false`}},
		"invalid":     {[]string{"REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=friends"}, []string{`env REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM: app.accept_client_events_from: "friends" is none of members, all, none`}},
		"redis port":  {[]string{"REDIS_PORT=tcp://10.0.0.1:6379"}, []string{"env REDIS_PORT: expected a port's number; Kubernetes sets the variable for a Service called redis, so set enableServiceLinks: false in the pod, or set BROADCASTD_REDIS_URL"}},
		"redis db":    {[]string{"REDIS_DB=first"}, []string{"env REDIS_DB: expected the number of a database"}},
		"redis host":  {[]string{"REDIS_HOST=127.0.0.1:6379"}, []string{"env REDIS_HOST: expected a host name, tls:// and a host name, or a socket's absolute path; the port goes into REDIS_PORT"}},
		"redis url":   {[]string{"REDIS_URL=redis://:" + secret + "/x@127.0.0.1"}, []string{"env REDIS_URL: " + notRedisURL}},
		"redis url 2": {[]string{"REDIS_URL=" + secret + "@127.0.0.1:6379"}, []string{"env REDIS_URL: " + notRedisURL}},
		"redis url 3": {[]string{"REDIS_URL=" + secret}, []string{"env REDIS_URL: redis.url: " + notRedisURL}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Options{Env: append(c.env, withApp...)})
			wantError(t, err, c.want...)
		})
	}
}

// TestForeignVariables are none of ours, whatever they hold.
func TestForeignVariables(t *testing.T) {
	env := append([]string{
		"REVERB_HOST=ws.example.com", "REVERB_PORT=443", "REVERB_SCHEME=https", "REVERB_SERVER=reverb", "VITE_REVERB_PORT=443",
		"REVERB_SCALING_ENABLED=false", "APP_NAME=Shop", "PATH=/bin", "=C:=C:\\", "broken",
	}, withApp...)
	l := mustLoad(t, Options{Env: env})
	want := Default()
	want.App.ID, want.App.Key, want.App.Secret = "1", "key", secret
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("got %+v, want %+v", l.Config, want)
	}
}

func TestWordsOfLaravel(t *testing.T) {
	for text, want := range map[string]variable{
		"null": {null: true}, "(NULL)": {null: true}, "empty": {}, "(Empty)": {}, "True": {text: "true"}, "(false)": {text: "false"},
		`"a b"`: {text: "a b"}, `'a"'`: {text: `a"`}, `"`: {text: `"`}, `"a'`: {text: `"a'`}, " null": {text: " null"}, "NULLs": {text: "NULLs"},
	} {
		if got := newVariable(text, ""); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestEnvFileErrorNamesTheLine(t *testing.T) {
	path := write(t, ".env", "APP_NAME=Shop\n\nREVERB_APP_SECRET="+secret+" two\n")
	_, err := Load(Options{EnvFile: path})
	wantError(t, err, path+":3: REVERB_APP_SECRET: text after the value; a value with spaces must be in double quotes")
}

func TestEnvFileKnowsOurVariables(t *testing.T) {
	path := write(t, ".env", "BROADCASTD_APP_KYE=a\nUNKNOWN=b\n")
	_, err := Load(Options{EnvFile: path, Env: withApp})
	wantError(t, err, "env-file "+path+`: BROADCASTD_APP_KYE: unknown variable; did you mean "BROADCASTD_APP_KEY"?`)
	if strings.Contains(err.Error(), "UNKNOWN") {
		t.Error("a foreign variable is an error")
	}
}
