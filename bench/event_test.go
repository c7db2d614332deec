package main

import (
	"encoding/json"
	"testing"
	"time"

	"broadcastd/auth"
	"broadcastd/protocol"
	"broadcastd/redisbridge"
)

func TestEventIsFoundInWhatTheDaemonSends(t *testing.T) {
	e := event{fanOutChannel, 77, 4321, time.Unix(1_795_564_800, 123_456_789), eventSize}
	data := e.data()
	sent := protocol.Event{Channel: fanOutChannel, Name: eventName, Data: protocol.QuoteData(data)}
	message := sent.Frame().Payload()
	if got := e.message(); string(got) != string(message) {
		t.Errorf("message is\n%s, the daemon's\n%s", got, message)
	}
	got, ok := parseEvent(message)
	if !ok || got.run != e.run || got.seq != e.seq || !got.began.Equal(e.began) {
		t.Errorf("read back as %v, %v", got, ok)
	}
	for _, f := range []protocol.Frame{protocol.Ping(), protocol.SubscriptionSucceeded(fanOutChannel, nil)} {
		if _, ok := parseEvent(f.Payload()); ok {
			t.Errorf("an event was found in %s", f.Payload())
		}
	}
}

func TestDataIsJSONOfItsSize(t *testing.T) {
	for _, size := range []int{minSize, 180, eventSize, 2048, maxEventSize} {
		data := event{run: time.Now().UnixNano(), seq: 1_000_000, began: time.Now(), size: size}.data()
		if len(data) != size || !json.Valid(data) {
			t.Errorf("%d bytes instead of %d: %s", len(data), size, data)
		}
	}
}

func TestRedisPayloadIsOneOfLaravels(t *testing.T) {
	e := event{seq: 1, began: time.Unix(1, 0), size: eventSize}
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
		Method: "POST", Path: path, RawQuery: target[len(path)+1:], Body: func() ([]byte, error) { return body, nil },
	}, auth.Credentials{Key: benchApp.Key, Secret: benchApp.Secret}, now)
	if err != nil {
		t.Error(err)
	}
}
