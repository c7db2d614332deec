package server_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"broadcastd/auth"
	"broadcastd/internal/config"
)

// joinAs subscribes as a user and returns the roster that it was told.
func (c *client) joinAs(channel, user string) map[string]string {
	c.t.Helper()
	c.send(c.subscription(channel, user))
	return c.wantRoster(channel)
}

// wantRoster demands a presence channel's subscription_succeeded, and returns
// each member's name.
func (c *client) wantRoster(channel string) map[string]string {
	c.t.Helper()
	m := c.next()
	if m.Event != "pusher_internal:subscription_succeeded" || m.Channel != channel {
		c.t.Fatalf("joining %s: %s %s", channel, m.Event, m.Data)
	}
	names, err := roster(m.text(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	return names
}

func roster(text string) (map[string]string, error) {
	var data struct {
		Presence struct {
			IDs   []string                     `json:"ids"`
			Hash  map[string]map[string]string `json:"hash"`
			Count int                          `json:"count"`
		} `json:"presence"`
	}
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return nil, err
	}
	p := data.Presence
	names := map[string]string{}
	for _, id := range p.IDs {
		names[id] = p.Hash[id]["name"]
	}
	if len(names) != len(p.IDs) || len(p.Hash) != len(p.IDs) || p.Count != len(p.IDs) {
		return nil, &json.UnsupportedValueError{Str: "ids, hash and count disagree: " + text}
	}
	return names, nil
}

func TestPresence(t *testing.T) {
	t.Parallel()
	const room = "presence-room.1"
	const (
		added   = `{"event":"pusher_internal:member_added","channel":"presence-room.1","data":"{\"user_id\":\"eve\",\"user_info\":{\"name\":\"EVE\"}}"}`
		removed = `{"event":"pusher_internal:member_removed","channel":"presence-room.1","data":"{\"user_id\":\"eve\"}"}`
	)
	d := start(t)
	ann, eve, eveToo := d.connect(t), d.connect(t), d.connect(t)
	ann.send(ann.subscription(room, "ann"))
	ann.want(`{"event":"pusher_internal:subscription_succeeded","channel":"presence-room.1",` +
		`"data":"{\"presence\":{\"ids\":[\"ann\"],\"hash\":{\"ann\":{\"name\":\"ANN\"}},\"count\":1}}"}`)

	both := map[string]string{"ann": "ANN", "eve": "EVE"}
	for _, c := range []*client{eve, eveToo} { // one user twice is one member
		if got := c.joinAs(room, "eve"); !reflect.DeepEqual(got, both) {
			t.Errorf("roster is %v, want %v", got, both)
		}
	}
	ann.want(added)
	ann.fence()
	eve.fence()

	eve.unsubscribe(room)
	eve.fence()
	ann.fence() // the user's other connection is still there
	_ = eveToo.nc.Close()
	ann.want(removed)

	if got := eve.joinAs(room, "eve"); !reflect.DeepEqual(got, both) {
		t.Errorf("roster after coming back is %v, want %v", got, both)
	}
	ann.want(added)
	// Who is in the channel stays who they are.
	if got := eve.joinAs(room, "mallory"); !reflect.DeepEqual(got, both) {
		t.Errorf("roster of a second subscribe is %v, want %v", got, both)
	}
	ann.fence()
	eve.write(closeFrame(1001, "going"))
	ann.want(removed)
	ann.fence()
}

func TestPresenceMember(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.App.MaxUserInfo = 20_000 })
	tests := map[string]struct{ data, want string }{
		"integer":     {`{"user_id":12345678901234567890}`, `{"presence":{"ids":["12345678901234567890"],"hash":{"12345678901234567890":null},"count":1}}`},
		"no info":     {`{"user_id":"7"}`, `{"presence":{"ids":["7"],"hash":{"7":null},"count":1}}`},
		"info a list": {`{"user_id":"7","user_info":[1,"é"]}`, `{"presence":{"ids":["7"],"hash":{"7":[1,"é"]},"count":1}}`},
		"info deep": {`{"user_id":"7","user_info":` + strings.Repeat("[", 9990) + strings.Repeat("]", 9990) + `}`,
			`{"presence":{"ids":["7"],"hash":{"7":` + strings.Repeat("[", 9990) + strings.Repeat("]", 9990) + `},"count":1}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := d.connect(t)
			channel := "presence-" + strings.ReplaceAll(name, " ", "-")
			c.send(string(mustJSON(t, map[string]any{"event": "pusher:subscribe", "data": map[string]string{
				"channel": channel, "channel_data": test.data,
				"auth": auth.SignChannel(appKey, appSecret, c.id, channel, test.data),
			}})))
			if m := c.next(); m.Event != "pusher_internal:subscription_succeeded" || m.text(t) != test.want {
				t.Errorf("answer is %s %s, want %s", m.Event, m.Data, test.want)
			}
		})
	}
}
