package main

import (
	"slices"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	began := time.Unix(1000, 0)
	const run = 7
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
		"one too many":       {[]int{0, 1, 2, 3, 4}, 0, 0, 0},
	} {
		c := &client{}
		ta := newTally(run, []*client{c}, func(int) int { return 4 })
		ta.take(&c.track, event{run: run - 1, seq: 0}, began) // of an earlier load
		for _, seq := range test.sequence {
			ta.take(&c.track, event{run: run, seq: seq, began: began}, began.Add(time.Millisecond))
		}
		if ta.missing != test.lost || ta.duplicated != test.duplicated || ta.unordered != test.unordered {
			t.Errorf("%s: lost %d, duplicated %d, unordered %d, want %d, %d, %d",
				name, ta.missing, ta.duplicated, ta.unordered, test.lost, test.duplicated, test.unordered)
		}
		if want := 4 - test.lost; len(ta.latencies) != want {
			t.Errorf("%s: %d latencies, want %d", name, len(ta.latencies), want)
		}
		select {
		case <-ta.complete:
			if test.lost > 0 {
				t.Errorf("%s: complete", name)
			}
		default:
			if test.lost == 0 {
				t.Errorf("%s: not complete", name)
			}
		}
	}
}

func TestOutcomeOfTwoLoops(t *testing.T) {
	start := time.Unix(1000, 0)
	var o outcome
	var last time.Time
	for i, delays := range [][]time.Duration{{1, 5}, {3, 4, 9}} {
		c := &client{}
		ta := newTally(0, []*client{c}, func(int) int { return len(delays) + i })
		for seq, d := range delays {
			ta.take(&c.track, event{seq: seq, began: start}, start.Add(d))
		}
		last = o.add(ta, last)
	}
	if want := (samples{3, 5, 9, 0}); !slices.Equal(o.slowest, want) {
		t.Errorf("slowest of each event: %v, want %v", o.slowest, want)
	}
	if want := start.Add(9); !last.Equal(want) || o.lost != 1 || len(o.latencies) != 5 {
		t.Errorf("last at %s, %d lost, %d came; want %s, 1, 5", last, o.lost, len(o.latencies), want)
	}
}

func TestEventsOfChannels(t *testing.T) {
	for _, channels := range []int{1, 3, 7, 10, 12} {
		l := load{rate: 10, duration: time.Second, channels: make([]string, channels)}
		got := make([]int, channels)
		for i := range l.events() {
			got[i%channels]++
		}
		for i, want := range got {
			if n := l.eventsOf(i + channels); n != want {
				t.Errorf("%d channels: client %d gets %d events, want %d", channels, i+channels, n, want)
			}
		}
	}
}
