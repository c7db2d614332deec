package config

import (
	"testing"
	"time"
)

func TestReverbScaling(t *testing.T) {
	for name, test := range map[string]struct {
		env  string
		want bool
		from string
	}{
		"Reverb's":       {"REVERB_SCALING_ENABLED=true", true, "env REVERB_SCALING_ENABLED"},
		"Laravel's word": {"REVERB_SCALING_ENABLED=(true)", true, "env REVERB_SCALING_ENABLED"},
		"null":           {"REVERB_SCALING_ENABLED=null", false, "default"},
		"our own":        {"BROADCASTD_SCALING_ENABLED=true", true, "env BROADCASTD_SCALING_ENABLED"},
	} {
		l := mustLoad(t, Options{Env: append([]string{test.env, "REDIS_HOST=redis"}, withApp...)})
		if l.Config.Scaling.Enabled != test.want || l.From["scaling.enabled"] != test.from {
			t.Errorf("%s: got %t from %q", name, l.Config.Scaling.Enabled, l.From["scaling.enabled"])
		}
	}
}

func TestSources(t *testing.T) {
	const laravel, log = "redis://laravel", "redis://log"
	for name, test := range map[string]struct {
		env           []string
		publish, logs bool
		url           string
	}{
		"nothing":                 {nil, false, false, ""},
		"pubsub":                  {[]string{"BROADCASTD_REDIS_URL=" + laravel}, true, false, laravel},
		"stream":                  {[]string{"BROADCASTD_REDIS_URL=" + laravel, "BROADCASTD_REDIS_SOURCE=stream"}, false, true, laravel},
		"stream elsewhere":        {[]string{"BROADCASTD_SCALING_REDIS=" + log, "BROADCASTD_REDIS_SOURCE=stream"}, false, true, log},
		"both":                    {[]string{"BROADCASTD_REDIS_URL=" + laravel, "BROADCASTD_REDIS_SOURCE=both", "BROADCASTD_SCALING_REDIS=" + log}, true, true, log},
		"scaling":                 {[]string{"BROADCASTD_REDIS_URL=" + laravel, "BROADCASTD_SCALING_ENABLED=true"}, true, true, laravel},
		"scaling without Laravel": {[]string{"BROADCASTD_SCALING_REDIS=" + log, "BROADCASTD_SCALING_ENABLED=true"}, false, true, log},
	} {
		c := mustLoad(t, Options{Env: append(test.env, withApp...)}).Config
		if c.HearsPublish() != test.publish || c.ReadsLog() != test.logs || c.LogURL() != test.url {
			t.Errorf("%s: hears %t, reads %t at %q", name, c.HearsPublish(), c.ReadsLog(), c.LogURL())
		}
	}
}

// With nothing but a log there is nobody whose prefix could be missing.
func TestStreamNeedsNoSources(t *testing.T) {
	path := write(t, "c.yaml", `
redis: {url: "redis://127.0.0.1", source: stream, prefix: []}
scaling: {prefix: "", partitions: 256, lease: 5m, log_length: 1000, node: "node 1"}
apps:
  - {id: "1", key: a, secret: `+secret+`}
  - {id: "2", key: b, secret: `+secret+`}
`)
	c := mustLoad(t, Options{File: path}).Config
	if want := (Scaling{Partitions: 256, Lease: 5 * time.Minute, LogLength: 1000, Node: "node 1"}); c.Scaling != want {
		t.Errorf("got %+v, want %+v", c.Scaling, want)
	}
}
