package main

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make(samples, 0, 100)
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for name, test := range map[string]struct {
		s    samples
		p    float64
		want time.Duration
	}{
		"nothing":                {nil, 99, 0},
		"one":                    {samples{7}, 50, 7},
		"the lowest":             {hundred, 0, 1},
		"median":                 {hundred, 50, 50},
		"p99":                    {hundred, 99, 99},
		"p99.5 is rounded up":    {hundred, 99.5, 100},
		"the highest":            {hundred, 100, 100},
		"p99 of few":             {samples{3, 1, 2}, 99, 3},
		"median of an even many": {samples{4, 1, 3, 2}, 50, 2},
	} {
		if got := test.s.percentile(test.p); got != test.want {
			t.Errorf("%s: percentile %g is %d, want %d", name, test.p, got, test.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		want   float64
	}{
		"nothing": {nil, 0},
		"one":     {[]float64{4}, 4},
		"odd":     {[]float64{9, 1, 5}, 5},
		"even":    {[]float64{9, 1, 5, 7}, 6},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("%s: median is %g, want %g", name, got, test.want)
		}
	}
}
