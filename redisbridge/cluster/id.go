package cluster

import (
	"cmp"
	"strconv"
	"strings"
)

// position is an entry's id in a log: milliseconds by Redis's clock, and a number
// among those of the same millisecond. Zero comes before all entries.
type position struct{ ms, seq uint64 }

func parsePosition(id string) (position, bool) {
	ms, seq, found := strings.Cut(id, "-")
	if !found {
		return position{}, false
	}
	m, errMS := strconv.ParseUint(ms, 10, 64)
	s, errSeq := strconv.ParseUint(seq, 10, 64)
	return position{m, s}, errMS == nil && errSeq == nil
}

func (p position) String() string {
	return strconv.FormatUint(p.ms, 10) + "-" + strconv.FormatUint(p.seq, 10)
}

func (p position) compare(other position) int {
	return cmp.Or(cmp.Compare(p.ms, other.ms), cmp.Compare(p.seq, other.seq))
}

func (p position) before(other position) bool { return p.compare(other) < 0 }
