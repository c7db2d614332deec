package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var sample = report{
	Machine: machine{
		CPU: "Example CPU", Cores: 2, System: "linux/amd64", Go: "go1.26.0", Commit: "abc1234",
		Began: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Load: "0.25",
	},
	Figures: []figure{
		{"connect", "dial to established, p50", 0.8451, "ms", nil, true},
		{"connect", "dial to established, p99", 120.4, "ms", &demand{below, 100}, false},
		{"redis", "events a second, received", 1099.9, "", &demand{atLeast, 1000}, true},
		{"redis", "lost", 0, "", &demand{atMost, 0}, true},
	},
}

func TestTable(t *testing.T) {
	const want = `Example CPU, 2 cores, linux/amd64, go1.26.0, abc1234, 2026-11-24 12:00 UTC, load average before 0.25

scenario  measured                   ours     demanded
connect   dial to established, p50   0.85 ms
          dial to established, p99   120 ms   < 100 ms  NOT met
redis     events a second, received  1,100    >= 1,000  met
          lost                       0        <= 0      met
`
	var got strings.Builder
	if err := sample.writeTable(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("table is\n%swant\n%s", &got, want)
	}
	if n := sample.unmet(); n != 1 {
		t.Errorf("%d demands are not met, want 1", n)
	}
}

func TestJSONReadsBack(t *testing.T) {
	var text strings.Builder
	if err := sample.writeJSON(&text); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal([]byte(text.String()), &back); err != nil {
		t.Fatal(err)
	}
	if back.Machine != sample.Machine || len(back.Figures) != len(sample.Figures) || back.Figures[1].Demand.Limit != 100 {
		t.Errorf("read back as %+v", back)
	}
}

func TestQuantity(t *testing.T) {
	for want, q := range map[string]struct {
		value float64
		unit  string
	}{
		"0":          {0, ""},
		"12":         {12, ""},
		"999":        {999, ""},
		"1,000":      {1000, ""},
		"1,234,567":  {1234567, ""},
		"-1,234":     {-1234, ""},
		"-123 B":     {-123, "B"},
		"0.85 ms":    {0.8451, "ms"},
		"21.6 KiB":   {21.63, "KiB"},
		"1,099":      {1099.4, ""},
		"-0.07 B":    {-0.071, "B"},
		"58,123 MiB": {58123.4, "MiB"},
	} {
		if got := quantity(q.value, q.unit); got != want {
			t.Errorf("quantity(%v, %q) = %q, want %q", q.value, q.unit, got, want)
		}
	}
}

func TestDemand(t *testing.T) {
	for name, test := range map[string]struct {
		demand demand
		value  float64
		want   bool
	}{
		"below":           {demand{below, 50}, 49.9, true},
		"not below":       {demand{below, 50}, 50, false},
		"at most":         {demand{atMost, 0}, 0, true},
		"more than":       {demand{atMost, 0}, 1, false},
		"exactly":         {demand{exactly, 100}, 100, true},
		"not exactly":     {demand{exactly, 100}, 101, false},
		"at least":        {demand{atLeast, 1000}, 1000, true},
		"less than least": {demand{atLeast, 1000}, 999.9, false},
	} {
		if got := demanded("", test.value, "", test.demand.Relation, test.demand.Limit).Met; got != test.want {
			t.Errorf("%s: %v %v is met: %v, want %v", name, test.value, test.demand, got, test.want)
		}
	}
}
