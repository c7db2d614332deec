package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where and when figures were made.
type machine struct {
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	System string    `json:"system"`
	Go     string    `json:"go"`
	Commit string    `json:"commit"`
	Began  time.Time `json:"began"`
	// Load is the load average of the minute before the start: what else the
	// machine did. Empty where the system doesn't tell.
	Load string `json:"load,omitempty"`
}

func thisMachine() machine {
	m := machine{
		CPU:    cpuModel(readFile("/proc/cpuinfo")),
		Cores:  runtime.NumCPU(),
		System: runtime.GOOS + "/" + runtime.GOARCH,
		Go:     runtime.Version(),
		Commit: "unknown commit",
		Began:  time.Now(),
	}
	m.Load, _, _ = strings.Cut(readFile("/proc/loadavg"), " ")
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

func (m machine) String() string {
	text := fmt.Sprintf("%s, %d cores, %s, %s, %s, %s",
		m.CPU, m.Cores, m.System, m.Go, m.Commit, m.Began.Format("2006-01-02 15:04 MST"))
	if m.Load != "" {
		text += ", load average before " + m.Load
	}
	return text
}

// cpuModel finds the model's name in the text of Linux's /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "CPU of unknown model"
}

// readFile is for what not every system has.
func readFile(name string) string {
	b, _ := os.ReadFile(name) // absent elsewhere than on Linux
	return string(b)
}
