package redisurl

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestParse(t *testing.T) {
	for url, want := range map[string]redis.UniversalOptions{
		"redis://localhost":                      {Addrs: []string{"localhost:6379"}},
		"redis://u:p%2F@h:1/3?client_name=n":     {Addrs: []string{"h:1"}, Username: "u", Password: "p/", DB: 3, ClientName: "n"},
		"unix://u:p@/run/redis.sock?db=2":        {Addrs: []string{"/run/redis.sock"}, Username: "u", Password: "p", DB: 2},
		"redis://h:1?master_name=m&addr=i:2":     {Addrs: []string{"h:1", "i:2"}, MasterName: "m"},
		"redis://h/4?master_name=m&addr=h:2":     {Addrs: []string{"h:26379", "h:2"}, MasterName: "m", DB: 4},
		"redis://u:p@h:1?cluster=true":           {Addrs: []string{"h:1"}, IsClusterMode: true, Username: "u", Password: "p"},
		"redis://h:1?addr=i:2&addr=h:1":          {Addrs: []string{"h:1", "i:2"}, IsClusterMode: true},
		"redis://[::1]/0?cluster=true":           {Addrs: []string{"[::1]:6379"}, IsClusterMode: true},
		"redis://h:1?cluster=true&client_name=n": {Addrs: []string{"h:1"}, IsClusterMode: true, ClientName: "n"},
		"redis://su:sp@h:1/2?master_name=m&username=u&password=p": {
			Addrs: []string{"h:1"}, MasterName: "m", DB: 2,
			SentinelUsername: "su", SentinelPassword: "sp", Username: "u", Password: "p",
		},
	} {
		got, err := Parse(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if strings.Join(got.Addrs, " ") != strings.Join(want.Addrs, " ") ||
			got.MasterName != want.MasterName || got.IsClusterMode != want.IsClusterMode || got.DB != want.DB ||
			got.Username != want.Username || got.Password != want.Password ||
			got.SentinelUsername != want.SentinelUsername || got.SentinelPassword != want.SentinelPassword ||
			got.ClientName != want.ClientName || got.TLSConfig != nil {
			t.Errorf("%s: got %+v", url, got)
		}
	}
}

func TestParseTLS(t *testing.T) {
	for _, kind := range []string{"", "master_name=m&", "cluster=true&"} {
		for option, want := range map[string]bool{"": false, "skip_verify=false": false, "skip_verify=true": true} {
			url := "rediss://h?" + kind + option
			o, err := Parse(url)
			if err != nil || o.TLSConfig == nil || o.TLSConfig.InsecureSkipVerify != want || o.TLSConfig.ServerName != "h" {
				t.Errorf("%s: got %+v, %v", url, o, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, url := range []string{
		"", "hunter2", "http://:hunter2@h", "redis://:hun/ter2@h:6379", "redis://:hunter2@h:port", "redis://h/hunter2",
		"redis://h?unknown=hunter2", "redis://h?master_name=", "redis://h/hunter2?master_name=m",
		"redis://h?master_name=m&cluster=true", "redis://h?cluster=hunter2", "redis://h?cluster=false",
		"unix:///hunter2?cluster=true", "unix:///hunter2?master_name=m", "redis://h?addr=hunter2",
		"redis://h/hunter2?cluster=true", "redis://h/1?cluster=true", "rediss://h?cluster=true&skip_verify=hunter2",
		"redis://h?cluster=true&db=1", "redis://%zz:hunter2@h",
	} {
		o, err := Parse(url)
		if err == nil || strings.Contains(err.Error(), "hun") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: got %+v, %v", url, o, err)
		}
	}
}
