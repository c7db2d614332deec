package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is the probe and the attackers also, since they are this program run
// again.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && slices.Contains([]string{probeCommand, attackCommand}, os.Args[1]) {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// TestScenarios runs them in small against the real daemon: that they measure
// and lose nothing, not how fast it is.
func TestScenarios(t *testing.T) {
	b := bench{
		progress: io.Discard, rounds: 1, duration: 100 * time.Millisecond,
		subscribers: 20, slow: 2, slowSize: 60_000, connections: 20, most: 30, rate: 500, firstRate: 1000,
		churnRounds: 3, perRound: 10, curve: sizes{2, 20}, loops: 2,
		plot:    filepath.Join(t.TempDir(), "plot.svg"),
		healthy: 10, attackers: 10, attack: regexp.MustCompile("^pings$|^silent|inflate to what"),
		markdown: filepath.Join(t.TempDir(), "attacks.md"),
	}
	chosen, err := choose("all")
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.measure(t.Context(), chosen)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range r.Figures {
		seen[f.Scenario]++
		counted := f.Demand != nil && (f.Demand.Relation == exactly || f.Demand.Limit == 0)
		if counted && !f.Met {
			t.Errorf("%s: %s is %g", f.Scenario, f.Name, f.Value)
		}
	}
	for _, s := range chosen {
		if seen[s.name] == 0 {
			t.Errorf("scenario %s has no figures", s.name)
		}
	}
	for _, file := range []string{b.plot, b.markdown} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

func TestFewerThanAsked(t *testing.T) {
	var says strings.Builder
	b := bench{progress: &says}
	if n := b.possible(1, 1); n != 1 || says.Len() > 0 {
		t.Errorf("1 client became %d, and it says %q", n, &says)
	}
	if n := b.possible(1<<40, 2); n >= 1<<40 || n <= 0 || !strings.Contains(says.String(), "ulimit -n") {
		t.Errorf("too many became %d, and it says %q", n, &says)
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
		"--slow=1000":                 {2, "--subscribers"},
		"--slow-size=1":               {2, "--slow-size must be from"},
		"--churn-rounds=1":            {2, "above 1"},
		"--curve=10,x":                {2, "not a number above 0"},
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

func TestProbeNeedsATask(t *testing.T) {
	if err := runProbe(t.Context(), strings.NewReader("nonsense"), io.Discard); err == nil {
		t.Error("nonsense was probed")
	}
}
