package main

import (
	"fmt"
	"slices"
	"time"
)

// curve is how a metric of a node that was never restarted went on.
type curve struct {
	node, metric string
	connections  float64 // their median
	first, last  float64 // medians of the first and the last quarter
	slope        float64 // an hour
	wrong        string  // empty: it is flat
}

// The bounds of what is flat: the last quarter may be above the first by a part of
// it, and by so much. After the API was slow there are up to 16 idle connections to it
// (auth.max_concurrent), with two goroutines each.
var flat = []struct {
	metric string
	unit   float64
	part   float64
	plus   float64
}{
	{metricMemory, 1 << 20, 0.20, 8},
	{metricHeap, 1 << 20, 0.20, 8},
	{metricGoroutines, 1, 0.10, 40},
	{metricFiles, 1, 0.10, 30},
}

const connectionsNow = "broadcastd_connections"

// memory are the curves of the nodes that lived on. Scrapes count that found about
// as many connections as their median, after all had come.
func (s *soak) memory() (curves []curve) {
	for _, n := range s.nodes {
		all := slices.DeleteFunc(slices.Clone(n.scrapes), func(a scrape) bool { return a.began < 15*time.Second })
		if n.runs != 1 || len(all) < 8 {
			continue
		}
		usual := median(values(all, connectionsNow))
		all = slices.DeleteFunc(all, func(a scrape) bool {
			is := a.values[connectionsNow]
			return is < usual*0.75 || is > usual*1.25
		})
		for _, f := range flat {
			quarter := max(1, len(all)/4)
			c := curve{
				node: n.name, metric: f.metric, connections: usual,
				first: median(values(all[:quarter], f.metric)) / f.unit,
				last:  median(values(all[len(all)-quarter:], f.metric)) / f.unit,
				slope: slope(all, f.metric) / f.unit,
			}
			if bound := c.first*(1+f.part) + f.plus; c.last > bound {
				c.wrong = fmt.Sprintf("node %s: %s went from %.1f in the first quarter to %.1f in the last one, with as many connections; %.1f would be flat",
					n.name, f.metric, c.first, c.last, bound)
			}
			curves = append(curves, c)
		}
	}
	return curves
}

func values(scrapes []scrape, name string) (all []float64) {
	for _, s := range scrapes {
		all = append(all, s.values[name])
	}
	return all
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// slope is that of the line with the least squares, an hour.
func slope(scrapes []scrape, name string) float64 {
	var n, x, y, xx, xy float64
	for _, s := range scrapes {
		hours, value := s.began.Hours(), s.values[name]
		n, x, y, xx, xy = n+1, x+hours, y+value, xx+hours*hours, xy+hours*value
	}
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}
