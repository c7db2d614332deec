package main

import (
	"bytes"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// TestMemoryLimitOfTheCgroup: nine tenths of what it allows is the limit, but for one
// that GOMEMLIMIT has set.
func TestMemoryLimitOfTheCgroup(t *testing.T) {
	const allowed, given = 1 << 40, 1 << 41 // far above what the tests take
	for _, c := range []struct {
		name, env string
		cgroup    memlimit.Provider
		want      int64
		said      string
	}{
		{"a cgroup's", "", memlimit.Limit(allowed), allowed * 9 / 10, "bytes=989560464998 by=cgroup"},
		{"both", "2TiB", memlimit.Limit(allowed), given, "bytes=2199023255552 by=GOMEMLIMIT"},
		{"a cgroup without one", "", func() (uint64, error) { return 0, memlimit.ErrNoLimit }, math.MaxInt64, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", c.env)
			before := debug.SetMemoryLimit(math.MaxInt64)
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			if c.env != "" {
				debug.SetMemoryLimit(given) // as Go does at the start
			}
			var log bytes.Buffer
			limitMemory(c.cgroup, slog.New(slog.NewTextHandler(&log, nil)))
			if got := debug.SetMemoryLimit(-1); got != c.want {
				t.Errorf("the limit is %d, want %d", got, c.want)
			}
			if said := log.String(); !strings.Contains(said, c.said) || c.said == "" && said != "" {
				t.Errorf("the log has %q, want %q", said, c.said)
			}
		})
	}
}
