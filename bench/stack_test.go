package main

import (
	"strings"
	"testing"
)

func TestListening(t *testing.T) {
	const log = `{"time":"2026-11-24T12:00:00Z","level":"INFO","msg":"redis is up"}
{"time":"2026-11-24T12:00:00Z","level":"INFO","msg":"listening","address":"127.0.0.1:4001","path":"","admin":"127.0.0.1:4002"}
`
	addr, admin, err := listening(log)
	if err != nil || addr != "127.0.0.1:4001" || admin != "127.0.0.1:4002" {
		t.Errorf("listening at %q and %q, %v", addr, admin, err)
	}
	for name, log := range map[string]string{"empty": "", "half a line": log[:150], "not JSON": "panic: listening"} {
		if _, _, err := listening(log); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseMetrics(t *testing.T) {
	values, err := parseMetrics(strings.NewReader(`# HELP go_goroutines Number of goroutines.
go_goroutines 15
process_resident_memory_bytes 2.9298688e+07
broadcastd_connections{app="a b"} 3
broadcastd_connections{app="c"} 4
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"go_goroutines": 15, "process_resident_memory_bytes": 29298688, "broadcastd_connections": 7,
		`broadcastd_connections{app="a b"}`: 3,
	} {
		if values[name] != want {
			t.Errorf("%s is %g, want %g", name, values[name], want)
		}
	}
	if _, err := parseMetrics(strings.NewReader("nonsense\n")); err == nil {
		t.Error("nonsense was parsed")
	}
}

func TestCPUModel(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Example CPU @ 3 GHz\n"
	if got := cpuModel(cpuinfo); got != "Example CPU @ 3 GHz" {
		t.Errorf("model is %q", got)
	}
	if got := cpuModel(""); got != "CPU of unknown model" {
		t.Errorf("without a model: %q", got)
	}
}
