package main

import (
	"slices"
	"time"
)

// inTouch are the metrics that tell of a node and Redis: up, and how often that ended.
var inTouch = []struct{ up, losses string }{
	{"broadcastd_redis_up", "broadcastd_redis_reconnects_total"},
	{"broadcastd_cluster_up", "broadcastd_cluster_outages_total"}, // of a cluster
}

// steady reports whether, by its metrics, a node ran and had Redis all the time, from
// before one moment until after another.
func (n *node) steady(from, to moment) bool {
	const pause = 3 * time.Second // no scrape for longer: it was frozen, or not there
	i, _ := slices.BinarySearchFunc(n.scrapes, from, func(s scrape, m moment) int { return int(s.ended - m) })
	if i == 0 {
		return false
	}
	before := n.scrapes[i-1]
	for _, s := range n.scrapes[i-1:] {
		for _, m := range inTouch {
			_, has := s.values[m.up]
			if has && s.values[m.up] != 1 || s.values[m.losses] != before.values[m.losses] {
				return false
			}
		}
		if s.run != before.run || s.began-before.ended > pause {
			return false
		}
		if before = s; s.began > to {
			return true
		}
	}
	return false
}
