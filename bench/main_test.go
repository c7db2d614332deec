package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScenarios runs each of them in small against the real daemon: that they
// measure and lose nothing, not how fast it is.
func TestScenarios(t *testing.T) {
	b := bench{connections: 20, subscribers: 20, rounds: 3, perRound: 10, duration: 200 * time.Millisecond}
	r, err := b.measure(t.Context(), scenarios, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range r.Figures {
		seen[f.Scenario]++
		if f.Demand != nil && f.Demand.Relation == atMost && f.Demand.Limit == 0 && f.Value != 0 {
			t.Errorf("%s: %s is %g", f.Scenario, f.Name, f.Value)
		}
	}
	for _, s := range scenarios {
		if seen[s.name] == 0 {
			t.Errorf("scenario %s has no figures", s.name)
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--help":                      {0, "what is left after clients come and go"},
		"--scenario=nonsense":         {2, `no scenario "nonsense"`},
		"--scenario=connect,nonsense": {2, `no scenario "nonsense"`},
		"--duration=0s":               {2, "above 0"},
		"--connections=-1":            {2, "above 0"},
		"connect":                     {2, "flags only"},
		"--nonsense":                  {2, "not defined"},
	} {
		var stderr strings.Builder
		code := run([]string{args}, io.Discard, &stderr)
		if code != want.code || !strings.Contains(stderr.String(), want.says) {
			t.Errorf("%s: exit code %d and %q, want %d and %q", args, code, &stderr, want.code, want.says)
		}
	}
}
