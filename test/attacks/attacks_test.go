package attacks_test

import (
	"testing"

	"broadcastd/test/attack"
)

// soon makes the daemon miss a client's pong after two seconds.
const soon = "ping_interval: 1s, pong_timeout: 1s, "

// impatient is too short for a byte each second.
const impatient = "handshake_timeout: 2s"

// TestAttacks has healthy clients get every event, in order, while others attack.
// The attackers get what docs/attacks.md says; the daemon takes little memory, logs
// little, and holds nothing of it afterwards.
func TestAttacks(t *testing.T) {
	t.Parallel()
	sieges := map[string]siege{
		"slow handshakes":     {attack: "slow handshakes", attackers: 50, times: 1, config: impatient, want: attack.Got{"HTTP 400": 50}},
		"silent connections":  {attack: "no request at all", attackers: 50, times: 1, config: impatient, want: attack.Got{attack.Cut: 50}},
		"garbage":             {attack: "1 MB of garbage", attackers: 2, times: 5, want: attack.Got{"HTTP 400": 10}},
		"huge header":         {attack: "a header of 1 MB", attackers: 2, times: 5, want: attack.Got{"HTTP 431": 10}},
		"many headers":        {attack: "10,000 headers", attackers: 2, times: 5, want: attack.Got{"HTTP 431": 10}},
		"HTTP/2":              {attack: "HTTP/2 without TLS", attackers: 2, times: 5, want: attack.Got{"HTTP 400": 10}},
		"guessed keys":        {attack: "guessed keys", attackers: 4, times: 100, want: attack.Got{"closed 4001": 400}, counted: map[string]float64{`broadcastd_connections_refused_total{reason="app_not_found"}`: 400}},
		"handshakes":          {attack: "handshakes and nothing after", attackers: 4, times: 100, want: attack.Got{attack.Answered: 400}},
		"forged events":       {attack: "forged signatures of events", attackers: 4, times: 2, want: attack.Got{"HTTP 401": 8}, counted: map[string]float64{`broadcastd_http_api_refused_total{reason="bad_signature"}`: 4000}},
		"withheld bodies":     {attack: "forged and large, the body sent but for its last byte", attackers: 100, times: 1, want: attack.Got{"HTTP 401": 100}},
		"events":              {attack: "events as fast as they are taken", attackers: 4, times: 2, want: attack.Got{"HTTP 200": 8}},
		"half-open":           {attack: "silent from now on", attackers: 50, times: 1, app: soon, want: attack.Got{"closed 4201": 50}, counted: map[string]float64{`broadcastd_disconnections_total{reason="pong_timeout"}`: 50}},
		"garbage as frames":   {attack: "1 MB of garbage as frames", attackers: 2, times: 2, want: attack.Got{"closed 1002": 4}},
		"fragments":           {attack: "a message in frames of 1 byte", attackers: 2, times: 10, want: attack.Got{attack.Answered: 20}},
		"endless fragments":   {attack: "a message without end in frames of 1 byte", attackers: 2, times: 2, want: attack.Got{"closed 1009": 4}},
		"byte by byte":        {attack: "a large message, byte by byte", attackers: 2, times: 1, want: attack.Got{attack.Answered: 2}},
		"tiny messages":       {attack: "messages of 1 byte", attackers: 2, times: 5, want: attack.Got{attack.Answered: 10}},
		"pings":               {attack: "pings", attackers: 2, times: 5, want: attack.Got{attack.Answered: 10}},
		"unread pongs":        {attack: "pings whose answers are not read", attackers: 4, times: 1, app: "max_outbox: 128KiB, ", want: attack.Got{attack.Cut: 4}, counted: map[string]float64{`broadcastd_disconnections_total{reason="slow_consumer"}`: 4}},
		"bombs":               {attack: "bombs: 100 bytes that inflate to 1 MB", attackers: 4, times: 50, want: attack.Got{"closed 1009": 200}},
		"bombs that fit":      {attack: "bombs that inflate to what is allowed", attackers: 4, times: 2, want: attack.Got{attack.Answered: 8}},
		"100,000 subscribes":  {attack: "100,000 subscribes on one connection", attackers: 1, times: 1, want: attack.Got{attack.Answered: 1}, counted: map[string]float64{`broadcastd_subscriptions_refused_total{reason="too_many"}`: 99_000}},
		"colliding names":     {attack: "names that collide", attackers: 2, times: 5, want: attack.Got{attack.Answered: 10}},
		"churn":               {attack: "subscribes and unsubscribes", attackers: 2, times: 4, want: attack.Got{attack.Answered: 8}},
		"churn of many":       {attack: "the same with 1,000 channels, one after the other", attackers: 2, times: 4, want: attack.Got{attack.Answered: 8}},
		"pings of many":       {attack: "pings of who is in 1,000 channels", attackers: 2, times: 2, want: attack.Got{attack.Answered: 4}},
		"forged channels":     {attack: "forged signatures of channels", attackers: 2, times: 4, want: attack.Got{attack.Answered: 8}, counted: map[string]float64{`broadcastd_subscriptions_refused_total{reason="bad_signature"}`: 16_000}},
		"whispers":            {attack: "client events over the limit", attackers: 2, times: 4, want: attack.Got{attack.Answered: 8}, most: map[string]float64{`broadcastd_events_total{app="app",source="client"}`: 2000}},
		"members come and go": {attack: "members who join and leave", attackers: 4, times: 1, want: attack.Got{attack.Answered: 4}},
		"smuggling":           {attack: "smuggled requests", attackers: 1, times: 1, want: attack.Got{"one answer to each": 1}},
	}
	tested := map[string]bool{}
	for name, s := range sieges {
		tested[s.attack] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.run(t)
		})
	}
	for _, a := range attack.All() {
		if !tested[a.Name] {
			t.Errorf("no siege is %q", a.Name)
		}
	}
}
