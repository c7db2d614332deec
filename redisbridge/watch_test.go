package redisbridge

import (
	"context"
	"strings"
	"testing"

	"broadcastd/test/redistest"
)

// The whole of "broadcastd check --redis": an app whose prefix isn't the
// configured one.
func TestWatch(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen Sightings
	ended := make(chan error, 1)
	messages := 0
	all := readFixture[published](t, "redis-publish.json")
	go func() {
		ended <- Watch(ctx, server.URL(), func(channel string, payload []byte) {
			seen.Saw(channel, payload)
			if messages++; messages == len(all) {
				cancel()
			}
		})
	}()
	until(t, "subscription", func() bool {
		n, err := client.PubSubNumPat(ctx).Result()
		return err == nil && n == 1
	})
	for _, p := range all {
		publish(t, client, p.Payload, p.Channel)
	}
	if err := <-ended; err != nil {
		t.Fatalf("Watch: %v", err)
	}

	var b strings.Builder
	summary := Summarise(seen.List(), []Source{{"laravel-database-", "app-id"}, {"laravel_database_", "app-id"}})
	if err := summary.Print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `Prefix "": NOT HEARD, no configured prefix fits.
       1  private-user.7
Prefix "job_marketplace_database_": NOT HEARD, no configured prefix fits.
       1  private-user.7
Prefix "laravel_database_": heard, for app app-id.
      20  jobs.discovery
      15  private-job.42
      13  private-user.7
       4  presence-room.5
       4  private-App.Models.User.7
       4  private-user.1
       4  private-user.150
       4  private-user.2
       2  "jobs discovery:é"  (skipped: no client can subscribe to a channel of that name)
       2  private-encrypted-job.42
          and 1 more channels
Prefix "laravel-database-" of app app-id: nothing came.

If these events are this app's and shall reach its clients, set in config.yaml

    redis:
      prefix: ["laravel-database-", "laravel_database_", "", "job_marketplace_database_"]
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWatchFails(t *testing.T) {
	server := redistest.Start(t, "--user", "reader", "on", ">pw", "resetchannels", "&laravel*", "+psubscribe")
	tests := map[string]struct{ url, want string }{
		"no permission": {server.URLAs("reader", "pw"), "'&*'"},
		"bad password":  {server.URLAs("reader", "hunter2"), "check the user and the password"},
		"nobody there":  {"redis://127.0.0.1:1", "refused"},
		"no URL":        {"", "redis.url"},
	}
	for name, test := range tests {
		err := Watch(context.Background(), test.url, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestSummarise(t *testing.T) {
	laravel := []Source{{"laravel-database-", "a"}, {"laravel_database_", "a"}}
	event := func(channel string) Sighting { return Sighting{Channel: channel, Messages: 3, Events: 3} }
	foreign := func(channel string) Sighting { return Sighting{Channel: channel, Messages: 5} }
	tests := map[string]struct {
		seen    []Sighting
		sources []Source
		want    string
	}{
		"all is well": {
			seen:    []Sighting{event("laravel_database_jobs"), event("laravel_database_private-job.1")},
			sources: laravel[1:],
			want: `
Prefix "laravel_database_": heard, for app a.
       3  jobs
       3  private-job.1
`,
		},
		"nothing": {
			sources: laravel[:1],
			want: `
Prefix "laravel-database-" of app a: nothing came.

` + nothingCame,
		},
		"only foreign messages": {
			seen:    []Sighting{foreign("news"), foreign("__keyspace@0__:a b"), foreign("laravel_database_x")},
			sources: laravel[1:],
			want: `
Prefix "laravel_database_": heard, for app a.
       5  x  (no events)
Other channels, without any event:
       5  news
       5  "__keyspace@0__:a b"

` + nothingCame,
		},
		"the app has another name": {
			seen:    []Sighting{event("my-shop-database-jobs"), event("my-shop-database-private-job.1")},
			sources: laravel,
			want: `
Prefix "my-shop-database-": NOT HEARD, no configured prefix fits.
       3  jobs
       3  private-job.1
Prefix "laravel-database-" of app a: nothing came.
Prefix "laravel_database_" of app a: nothing came.

If these events are this app's and shall reach its clients, set in config.yaml

    redis:
      prefix: ["laravel-database-", "laravel_database_", "my-shop-database-"]
`,
		},
		"the empty prefix hears names with a prefix": {
			seen:    []Sighting{event("laravel_database_private-job.1"), event("jobs")},
			sources: []Source{{"", "a"}},
			want: `
Prefix "": heard, for app a.
       3  jobs
Prefix "laravel_database_": heard by the prefix "", but under names with the rest of it in front, such as laravel_database_private-job.1.
       3  private-job.1

If these events are this app's and shall reach its clients, set in config.yaml

    redis:
      prefix: ["", "laravel_database_"]
`,
		},
		"a prefix of one's own, seen on a private channel": {
			seen:    []Sighting{event("shop:jobs"), event("shop:private-job.1")},
			sources: laravel[:1],
			want: `
Prefix "shop:": NOT HEARD, no configured prefix fits.
       3  private-job.1
       3  jobs
Prefix "laravel-database-" of app a: nothing came.

If these events are this app's and shall reach its clients, set in config.yaml

    redis:
      prefix: ["laravel-database-", "shop:"]
`,
		},
		"a prefix of one's own, not to be told": {
			seen:    []Sighting{event("shopjobs")},
			sources: laravel[:1],
			want: `
A prefix that the names don't show: NOT HEARD, no configured prefix fits.
       3  shopjobs
Prefix "laravel-database-" of app a: nothing came.

` + prefixUnclear,
		},
		"several apps": {
			seen:    []Sighting{event("a-jobs"), event("c_database_jobs")},
			sources: []Source{{"a-", "1"}, {"b-", "2"}},
			want: `
Prefix "a-": heard, for app 1.
       3  jobs
Prefix "c_database_": NOT HEARD, no configured prefix fits.
       3  jobs
Prefix "b-" of app 2: nothing came.

If these events are this app's and shall reach its clients, set in config.yaml

    redis:
      sources:
        - {prefix: "a-", app: "1"}
        - {prefix: "b-", app: "2"}
        - {prefix: "c_database_", app: ID OF ITS APP}
`,
		},
	}
	for name, test := range tests {
		var b strings.Builder
		summary := Summarise(test.seen, test.sources)
		if err := summary.Print(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, want := b.String(), strings.TrimPrefix(test.want, "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestGuessPrefix(t *testing.T) {
	tests := map[string]string{ // "?" where nothing can be told
		"laravel_database_jobs":                         "laravel_database_",
		"laravel-database-private-job.1":                "laravel-database-",
		"laravel_database_my-private-thing":             "laravel_database_",
		"my_database_tool_database_private-job.1":       "my_database_tool_database_",
		"_database_presence-room":                       "_database_",
		"private-job.1":                                 "",
		"presence-room":                                 "",
		"private-encrypted-x":                           "",
		"shop:private-job.1":                            "shop:",
		"laravel_database_private-db_database_private-": "laravel_database_",
		"jobs":             "?",
		"myprivate-thing":  "?",
		"database_private": "?",
		"":                 "?",
	}
	for channel, want := range tests {
		got, ok := guessPrefix(channel)
		if !ok {
			got = "?"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", channel, got, want)
		}
	}
}
