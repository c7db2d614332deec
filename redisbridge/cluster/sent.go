package cluster

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

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

// trim drops what is too much, or too old when there is newer: an outage may take any
// time.
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

// is reports whether an entry that has an addition's id is that addition: a server
// whose clock is behind can give an id that another gave before.
func is(entries []redis.XMessage, a *addition) bool {
	return len(entries) > 0 && entries[0].Values["from"] == a.from
}

// repeat adds entries to the log once more that a Redis had taken and lost. Nodes
// that have delivered them drop the copies.
func (s *session) repeat(ctx context.Context) error {
	s.mu.Lock()
	entries := s.sent.entries
	s.mu.Unlock()
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	first, err := s.first(ctx)
	if err != nil {
		return err
	}
	isCut, err := s.isCut(ctx)
	if err != nil {
		return err
	}
	pipe := s.asking.Pipeline()
	found := make([]*redis.XMessageSliceCmd, len(entries))
	for i := range entries {
		id := entries[i].id.String()
		found[i] = pipe.XRange(ctx, s.keys.log, id, id)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	missing := pipe
	var lost []sentEntry
	var kept sent
	for i := range entries {
		switch e := entries[i]; {
		case is(found[i].Val(), e.addition):
			kept.add(e.id, e.addition)
		case !isCut || !e.id.before(first):
			lost = append(lost, e)
			s.xadd(ctx, missing, e.addition)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	added, err := missing.Exec(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = kept
	for i, cmd := range added {
		if id, ok := parsePosition(cmd.(*redis.StringCmd).Val()); ok {
			s.sent.add(id, lost[i].addition)
		}
	}
	s.metrics.repeated.Add(float64(len(lost)))
	s.log.Warn("entries that Redis had kept and lost were added to the log once more", "entries", len(lost))
	return nil
}
