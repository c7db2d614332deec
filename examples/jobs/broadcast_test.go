package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// recordedPrefix is that of the application which the fixtures come from.
const recordedPrefix = "laravel_database_"

type recordedPublish struct {
	Event    string  `json:"event"`
	Prefix   *string `json:"redis_prefix"`
	AppName  string  `json:"app_name"`
	SocketID *string `json:"x_socket_id"`
	Channel  string  `json:"channel"`
	Payload  string  `json:"payload"`
}

func readFixture(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile("../../test/fixtures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestEventsAreLaravels compares every recorded message of the four events,
// channel and payload, byte for byte.
func TestEventsAreLaravels(t *testing.T) {
	job := Job{
		ID: 42, ClientID: 7, Budget: 120050, Status: StatusClaimed,
		Title:       `Fix "checkout" </script> & café résumé`,
		Description: "Need a \"senior\" dev 🚀👩‍💻 – naïve café, 日本語, العربية; path C:\\temp/x, tab\there\nnew line, it's <b>bold</b> & \u2028end",
	}
	done := JobUpdated(jobChannel(42), 42, Object{{"status", "done"}})
	events := map[string]Event{
		"JobPosted":           JobPosted(job),
		"JobPosted-toOthers":  JobPosted(job),
		"JobClaimed":          JobClaimed(job, User{ID: 9, Name: "José / 李雷"}),
		"JobClaimed-toOthers": JobClaimed(job, User{ID: 9, Name: "José / 李雷"}),
		"JobUpdated": JobUpdated(jobChannel(42), 42, Object{
			{"status", "in_progress"}, {"budget", Money(150000)}, {"deadline", nil},
			{"tags", Object{}}, {"meta", struct{}{}},
		}),
		"JobUpdated-toOthers": done,
		"WalletUpdated":       WalletUpdated(7, 12050),
		"WalletUpdated-toOthers-without-InteractsWithSockets": WalletUpdated(7, 12050),
	}

	var recorded []recordedPublish
	readFixture(t, "redis-publish.json", &recorded)
	compared := map[string]int{}
	for _, want := range recorded {
		event, ours := events[want.Event]
		if !ours || want.AppName != "" || want.Prefix != nil {
			continue
		}
		compared[want.Event]++
		got, err := event.Payload(want.SocketID)
		if err != nil {
			t.Fatalf("%s: %v", want.Event, err)
		}
		if string(got) != want.Payload {
			t.Errorf("%s, socket %v:\n got %s\nwant %s", want.Event, want.SocketID, got, want.Payload)
		}
		channel := strings.TrimPrefix(want.Channel, recordedPrefix)
		if !slices.Contains(event.Channels, channel) {
			t.Errorf("%s: channels %v lack %s", want.Event, event.Channels, channel)
		}
	}
	for name := range events {
		if compared[name] == 0 {
			t.Errorf("%s was compared with nothing", name)
		}
	}
}

func TestMoney(t *testing.T) {
	for text, want := range map[string]struct {
		cents   Money
		written string
		wallet  string
	}{
		"1200.5": {120050, "1200.5", "1200.50"},
		"1200":   {120000, "1200", "1200.00"},
		"0.05":   {5, "0.05", "0.05"},
		"10.10":  {1010, "10.1", "10.10"},
		"0":      {0, "0", "0.00"},
	} {
		var m Money
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		written, err := json.Marshal(m)
		if m != want.cents || string(written) != want.written || m.String() != want.wallet || err != nil {
			t.Errorf("%s: got %d cents, written %s, in a wallet %s (%v); want %+v", text, m, written, m, err, want)
		}
	}
	for _, text := range []string{"1.005", `"12"`, "-1", "1e3", "99999999999999"} {
		var m Money
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s: accepted as %d cents", text, m)
		}
	}
}
