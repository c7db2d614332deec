package config

import (
	"fmt"
	"strings"
)

// didYouMean ends an error about an unknown name with the known one that was
// probably meant, or is empty: a name that takes few changes, counted against
// the part after the last separator, or one that has the unknown name as its
// end, as when a section was left out. prefix is what all of them begin with.
func didYouMean(prefix, name string, known []string, separator string) string {
	last := name[strings.LastIndex(name, separator)+1:]
	best, least := "", len(last)/3+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	for _, k := range known {
		if best == "" && strings.HasSuffix(k, separator+name) {
			best = k
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", prefix+best)
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to get from a to b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
