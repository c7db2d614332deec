package main

import (
	"slices"
	"testing"
	"time"
)

func TestReceiver(t *testing.T) {
	began := time.Unix(1000, 0)
	for name, test := range map[string]struct {
		sequence                    []int // of four events
		lost, duplicated, unordered int
	}{
		"all":                {[]int{0, 1, 2, 3}, 0, 0, 0},
		"none":               {nil, 4, 0, 0},
		"a gap":              {[]int{0, 1, 3}, 1, 0, 0},
		"the end is missing": {[]int{0, 1}, 2, 0, 0},
		"one twice":          {[]int{0, 1, 1, 2, 3}, 0, 1, 0},
		"one too late":       {[]int{0, 2, 1, 3}, 0, 0, 1},
		"backwards":          {[]int{3, 2, 1, 0}, 0, 0, 3},
		"of a longer load":   {[]int{0, 1, 2, 3, 4}, 0, 0, 0},
	} {
		r := newReceiver(4)
		for _, seq := range test.sequence {
			r.take(event{seq, began}, began.Add(time.Millisecond))
		}
		o := merge([]*receiver{r})
		if o.lost != test.lost || o.duplicated != test.duplicated || o.unordered != test.unordered {
			t.Errorf("%s: lost %d, duplicated %d, unordered %d, want %d, %d, %d",
				name, o.lost, o.duplicated, o.unordered, test.lost, test.duplicated, test.unordered)
		}
		if want := 4 - test.lost; len(o.latencies) != want {
			t.Errorf("%s: %d latencies, want %d", name, len(o.latencies), want)
		}
	}
}

func TestMergeTakesTheSlowest(t *testing.T) {
	start := time.Unix(1000, 0)
	fast, slow := newReceiver(11), newReceiver(11)
	for i := range 11 {
		fast.take(event{i, start}, start.Add(time.Duration(i)*time.Millisecond))
		slow.take(event{i, start}, start.Add(time.Duration(i)*2*time.Millisecond))
	}
	o := merge([]*receiver{fast, slow})
	if o.perSecond != 500 {
		t.Errorf("%g events a second, want 500", o.perSecond)
	}
	if highest := slices.Max(o.latencies); highest != 20*time.Millisecond {
		t.Errorf("the highest latency is %s, want 20ms", highest)
	}
}
