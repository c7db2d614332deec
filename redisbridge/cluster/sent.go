package cluster

import "time"

// Bounds on what a node remembers of the entries that it added.
const (
	maxSent     = 4096
	maxSentSize = 4 << 20 // bytes
	sentTime    = 30 * time.Second
)

// sent are the entries that a node added lately, oldest first. A Redis that takes
// over from another may lack the last of them; then they are added once more.
type sent struct {
	entries []sentEntry
	size    int
}

type sentEntry struct {
	id position
	at time.Time
	*addition
}

func (s *sent) add(id position, a *addition) {
	a.done, a.event = nil, nil
	s.entries = append(s.entries, sentEntry{id, time.Now(), a})
	s.size += a.size
	s.trim(time.Now())
}

// trim drops what is too old or too much.
func (s *sent) trim(now time.Time) {
	n := 0
	for n < len(s.entries) && (len(s.entries)-n > maxSent || s.size > maxSentSize || now.Sub(s.entries[n].at) > sentTime) {
		s.size -= s.entries[n].size
		n++
	}
	if n == len(s.entries) {
		s.entries = nil
	} else {
		s.entries = s.entries[n:]
	}
}
