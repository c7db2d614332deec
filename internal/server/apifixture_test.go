package server_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"broadcastd/protocol"
)

// recordedEvent is what a fixture's body asks for.
type recordedEvent struct {
	Name     string   `json:"name"`
	Data     string   `json:"data"`
	Channel  string   `json:"channel"`
	Channels []string `json:"channels"`
}

// TestAPIFixtures posts what a real Laravel application sent, signed anew
// since its timestamps are old. Subscribers get names and data as they were.
func TestAPIFixtures(t *testing.T) {
	t.Parallel()
	var requests []struct {
		Driver string `json:"driver"`
		Event  string `json:"event"`
		Path   string `json:"path"`
		Body   string `json:"body"`
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "test", "fixtures", "http-api.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &requests); err != nil {
		t.Fatal(err)
	}
	d := start(t)
	posted := 0
	for _, r := range requests {
		if r.Path != eventsPath && r.Path != batchPath {
			continue
		}
		posted++
		t.Run(r.Driver+"/"+r.Event, func(t *testing.T) {
			events := recordedEvents(t, r.Body)
			c := d.connect(t)
			var names []string
			for _, e := range events {
				for _, name := range e.Channels {
					if protocol.KindOf(name) != protocol.User && !slices.Contains(names, name) {
						names = append(names, name)
						c.subscribe(name)
					}
				}
			}
			if got := d.post(t, r.Path, []byte(r.Body)); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			for _, e := range events {
				for _, channel := range e.Channels {
					if slices.Contains(names, channel) {
						c.wantEvent(channel, e.Name, e.Data)
					}
				}
			}
			c.fence()
		})
	}
	if posted < 30 {
		t.Errorf("only %d of the fixtures are events", posted)
	}
}

func recordedEvents(t *testing.T, body string) []recordedEvent {
	t.Helper()
	var request struct {
		recordedEvent
		Batch []recordedEvent `json:"batch"`
	}
	if err := json.Unmarshal([]byte(body), &request); err != nil {
		t.Fatal(err)
	}
	events := request.Batch
	if events == nil {
		events = []recordedEvent{request.recordedEvent}
	}
	for i := range events {
		if events[i].Channel != "" {
			events[i].Channels = []string{events[i].Channel}
		}
	}
	return events
}
