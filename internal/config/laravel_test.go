package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLaravel11Project(t *testing.T) {
	const file = "testdata/env/laravel11.env"
	l := mustLoad(t, Options{EnvFile: file})
	want := Default()
	want.App.ID, want.App.Key, want.App.Secret = "561234", "h2fq8zmyudkx1tvqgnyb", "s3cr3tq0v7jmwpdlxkzu"
	want.Redis.URL = "redis://127.0.0.1:6379"
	want.Redis.Prefix = []string{"job-marketplace-database-", "job_marketplace_database_"}
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("\n got %+v\nwant %+v", l.Config, want)
	}
	for path, from := range map[string]string{
		"port":         "default",
		"redis.url":    "env-file " + file + ": REDIS_HOST",
		"redis.prefix": "env-file " + file + ": APP_NAME",
		"app.secret":   "env-file " + file + ": REVERB_APP_SECRET",
	} {
		if l.From[path] != from {
			t.Errorf("%s is from %q, want %q", path, l.From[path], from)
		}
	}
}

func TestLaravel12Project(t *testing.T) {
	l := mustLoad(t, Options{EnvFile: "testdata/env/laravel12.env"})
	want := Default()
	want.Host, want.Port, want.Path, want.MaxRequestSize = "127.0.0.1", 8080, "/ws", 200000
	want.Redis.URL = "rediss://laravel:s3cr3t%2Fp%40ss%231@redis.example.com:6380/2"
	want.Redis.Prefix = []string{"jobs-at-cafe-24-database-", "jobs_at_cafe_24_database_"}
	want.App.ID, want.App.Key, want.App.Secret = "842001", "kq3hx7w0cbd2tzrnmv5e", "s3cr3t842001"
	want.App.PingInterval, want.App.ActivityTimeout = 30*time.Second, 45*time.Second
	want.App.MaxMessageSize, want.App.AcceptClientEventsFrom = 20000, "all"
	want.App.RateLimiting = RateLimiting{Enabled: true, MaxAttempts: 100, Decay: 10 * time.Second, TerminateOnLimit: true}
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("\n got %+v\nwant %+v", l.Config, want)
	}
}

func TestReverbPath(t *testing.T) {
	for in, want := range map[string]string{"": "", "/": "", "ws": "/ws", "/ws": "/ws", "ws/a/": "/ws/a"} {
		if got := reverbPath(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRedisVariables(t *testing.T) {
	for name, c := range map[string]struct{ env, url, from string }{
		"nothing":           {"", "", "default"},
		"nulls":             {"REDIS_URL=null REDIS_HOST=null REDIS_PASSWORD= REDIS_DB=(null)", "", "default"},
		"host":              {"REDIS_HOST=redis", "redis://redis:6379", "env REDIS_HOST"},
		"port":              {"REDIS_HOST=redis REDIS_PORT=6380", "redis://redis:6380", "env REDIS_HOST"},
		"port alone":        {"REDIS_PORT=6380", "redis://127.0.0.1:6380", "env REDIS_PORT"},
		"password":          {"REDIS_HOST=redis REDIS_PASSWORD=p:@/%", "redis://:p%3A%40%2F%25@redis:6379", "env REDIS_HOST"},
		"user":              {"REDIS_HOST=redis REDIS_USERNAME=u REDIS_PASSWORD=p", "redis://u:p@redis:6379", "env REDIS_HOST"},
		"user alone":        {"REDIS_HOST=redis REDIS_USERNAME=u REDIS_PASSWORD=null", "redis://redis:6379", "env REDIS_HOST"},
		"database":          {"REDIS_HOST=redis REDIS_DB=3", "redis://redis:6379/3", "env REDIS_HOST"},
		"TLS":               {"REDIS_HOST=tls://redis", "rediss://redis:6379", "env REDIS_HOST"},
		"tcp":               {"REDIS_HOST=tcp://redis", "redis://redis:6379", "env REDIS_HOST"},
		"IPv6":              {"REDIS_HOST=::1", "redis://[::1]:6379", "env REDIS_HOST"},
		"IPv6, TLS":         {"REDIS_HOST=tls://[::1]", "rediss://[::1]:6379", "env REDIS_HOST"},
		"socket":            {"REDIS_HOST=/run/redis.sock REDIS_PORT=0 REDIS_PASSWORD=p REDIS_DB=1", "unix://:p@/run/redis.sock?db=1", "env REDIS_HOST"},
		"URL":               {"REDIS_URL=redis://u:p@redis:1/2 REDIS_HOST=other REDIS_PORT=3 REDIS_PASSWORD=q REDIS_DB=4", "redis://u:p@redis:1/2", "env REDIS_URL"},
		"URL and the rest":  {"REDIS_URL=tcp://redis REDIS_HOST=other REDIS_PORT=3 REDIS_USERNAME=u REDIS_PASSWORD=q REDIS_DB=4", "redis://u:q@redis:3/4", "env REDIS_URL"},
		"TLS URL":           {"REDIS_URL=tls://redis:1", "rediss://redis:1", "env REDIS_URL"},
		"socket's URL":      {"REDIS_URL=unix:///run/redis.sock", "unix:///run/redis.sock", "env REDIS_URL"},
		"ours":              {"REDIS_HOST=a:b:c:d BROADCASTD_REDIS_URL=redis://redis", "redis://redis", "env BROADCASTD_REDIS_URL"},
		"ours, none":        {"REDIS_HOST=redis BROADCASTD_REDIS_URL=", "", "env BROADCASTD_REDIS_URL"},
		"ours is null":      {"REDIS_HOST=redis BROADCASTD_REDIS_URL=null", "redis://redis:6379", "env REDIS_HOST"},
		"kubernetes avoids": {"REDIS_PORT=tcp://10.0.0.1:6379 BROADCASTD_REDIS_URL=redis://redis", "redis://redis", "env BROADCASTD_REDIS_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			l := mustLoad(t, Options{Env: append(strings.Fields(c.env), withApp...)})
			if l.Config.Redis.URL != c.url || l.From["redis.url"] != c.from {
				t.Errorf("got %q from %q, want %q from %q", l.Config.Redis.URL, l.From["redis.url"], c.url, c.from)
			}
		})
	}
}

func TestPrefixVariables(t *testing.T) {
	const app = "REVERB_APP_ID=1\nREVERB_APP_KEY=a\nREVERB_APP_SECRET=" + secret + "\n"
	defaults := Default().Redis.Prefix
	custom := write(t, "custom.yaml", "redis: {prefix: mine-}\n")
	for name, c := range map[string]struct {
		file, env string
		process   []string
		want      []string
	}{
		"no name":           {"", "", nil, defaults},
		"name":              {"", "APP_NAME=Shop", nil, []string{"shop-database-", "shop_database_"}},
		"no letters":        {"", "APP_NAME=", nil, []string{"-database-", "_database_"}},
		"null name":         {"", "APP_NAME=null", nil, []string{"-database-", "_database_"}},
		"process":           {"", "APP_NAME=Shop", []string{"APP_NAME=Forum"}, []string{"forum-database-", "forum_database_"}},
		"prefix":            {"", "APP_NAME=Shop\nREDIS_PREFIX=shop,1:", nil, []string{"shop,1:"}},
		"empty prefix":      {"", "APP_NAME=Shop\nREDIS_PREFIX=", nil, []string{""}},
		"null prefix":       {"", "APP_NAME=Shop\nREDIS_PREFIX=null", nil, []string{""}},
		"ours":              {"", "APP_NAME=Shop\nREDIS_PREFIX=a", []string{"BROADCASTD_REDIS_PREFIX=b"}, []string{"b"}},
		"file":              {custom, "APP_NAME=Shop", nil, []string{"mine-"}},
		"file of defaults":  {shipped, "APP_NAME=Shop", nil, []string{"shop-database-", "shop_database_"}},
		"foreign, no redis": {"", "APP_NAME=求人", nil, defaults},
		"foreign, prefix":   {"", "APP_NAME=求人\nREDIS_HOST=redis\nREDIS_PREFIX=a-", nil, []string{"a-"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := mustLoad(t, Options{File: c.file, EnvFile: write(t, ".env", app+c.env), Env: c.process})
			if got := l.Config.Redis.Prefix; !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestForeignNameNeedsAPrefix(t *testing.T) {
	path := write(t, ".env", "APP_NAME=求人\nREDIS_HOST=redis\n")
	_, err := Load(Options{EnvFile: path, Env: withApp})
	wantError(t, err, "env-file "+path+`: APP_NAME: cannot tell which Redis prefix Laravel makes of a name with '求' in it; set REDIS_PREFIX or redis.prefix `+
		"to what `php artisan tinker --execute 'echo config(\"database.redis.options.prefix\")'` prints")
}
