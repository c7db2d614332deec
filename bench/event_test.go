package main

import (
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/protocol"
	"broadcastd/redisbridge"
)

func TestEventIsFoundInWhatTheDaemonSends(t *testing.T) {
	e := event{4321, time.Unix(1_795_564_800, 123_456_789)}
	data := e.data()
	if len(data) != eventSize {
		t.Errorf("data is %d bytes, want %d", len(data), eventSize)
	}
	sent := protocol.Event{Channel: fanOutChannel, Name: eventName, Data: protocol.QuoteData(data)}
	message := sent.Frame().Payload()
	if got := e.message(fanOutChannel); string(got) != string(message) {
		t.Errorf("message is\n%s, the daemon's\n%s", got, message)
	}
	got, ok := parseEvent(message)
	if !ok || got.seq != e.seq || !got.began.Equal(e.began) {
		t.Errorf("read back as %v, %v", got, ok)
	}
	for _, f := range []protocol.Frame{protocol.Ping(), protocol.SubscriptionSucceeded(fanOutChannel, nil)} {
		if _, ok := parseEvent(f.Payload()); ok {
			t.Errorf("an event was found in %s", f.Payload())
		}
	}
}

func TestRedisPayloadIsOneOfLaravels(t *testing.T) {
	e := event{1, time.Unix(1, 0)}
	m, err := redisbridge.Decode(e.redisPayload())
	if err != nil {
		t.Fatal(err)
	}
	if want := protocol.QuoteData(e.data()); m.Event.Name != eventName || string(m.Event.Data) != string(want) {
		t.Errorf("decoded as %s %s, want %s", m.Event.Name, m.Event.Data, want)
	}
}

func TestSignedTarget(t *testing.T) {
	now, body := time.Unix(1_795_564_800, 0), []byte(`{"name":"x"}`)
	const path = "/apps/bench/events"
	target := benchApp.target(path, body, now)
	_, err := auth.VerifyRequest(auth.SignedRequest{
		Method: "POST", Path: path, RawQuery: target[len(path)+1:], Body: body,
	}, auth.Credentials{Key: benchApp.Key, Secret: benchApp.Secret}, now)
	if err != nil {
		t.Error(err)
	}
}
