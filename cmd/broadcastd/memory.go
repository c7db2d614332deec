package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of the memory that the machine's cgroup allows Go may use;
// what the kernel holds for the process counts too.
const memoryShare = 0.9

// limitMemory has Go collect garbage more often before the cgroup's limit ends the
// process, unless GOMEMLIMIT says at what, and logs what is in effect.
func limitMemory(cgroup memlimit.Provider, log *slog.Logger) {
	by := "GOMEMLIMIT"
	if os.Getenv(by) == "" {
		_ = os.Unsetenv(by) // an empty one is none to Go, and one to the library
		by = "cgroup"
		if _, err := memlimit.Set(memlimit.WithProvider(cgroup), memlimit.WithRatio(memoryShare)); err != nil {
			log.Debug("the cgroup's memory limit is unknown", "err", err) // none, mostly
		}
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		log.Info("memory is limited", "bytes", limit, "by", by)
	}
}
