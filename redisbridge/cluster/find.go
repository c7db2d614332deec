package cluster

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"time"

	"github.com/redis/go-redis/v9"
)

// find tells where to read on. The first time that is the checkpoint; later it is
// where the log was left, unless the log isn't what it was.
func (s *session) find(ctx context.Context, b beat) error {
	s.turn.Lock()
	at, placed := s.at, s.placed
	s.turn.Unlock()
	if !placed {
		if !s.solo {
			if err := s.restore(ctx); err != nil {
				return err
			}
		}
		at, _ = parsePosition(b.checkpoint)
		var err error
		if at, err = s.sinceStart(ctx, at); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	same, err := s.has(ctx, at)
	if err != nil {
		return err
	}
	if !same {
		first, err := s.first(ctx)
		if err != nil {
			return err
		}
		isCut, err := s.isCut(ctx)
		if err != nil {
			return err
		}
		// Unless the log was cut there, this Redis was emptied, or has taken over
		// from one that knew more. What it has got since can have lower ids.
		if !isCut || first == (position{}) || !at.before(first) {
			found, err := s.lastCommon(ctx, at, first)
			if err != nil {
				return err
			}
			s.metrics.rewinds.Inc()
			s.missed()
			s.log.Warn("the log lacks entries that were read already: its Redis has lost its last writes", "read", at.String(), "found", found.String())
			at = found
		}
	}
	s.turn.Lock()
	s.at, s.placed = at, true
	s.recent.cut(at)
	s.turn.Unlock()
	return nil
}

// sinceStart is the checkpoint, or where the log was when this node started, if that was
// without Redis: the keeper's checkpoint has passed what was added since, and clients
// have been let in that wait for it.
func (s *session) sinceStart(ctx context.Context, checkpoint position) (position, error) {
	select {
	case <-s.tried:
	default:
		return checkpoint, nil // nobody is let in yet
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	now, err := s.asking.Time(ctx).Result()
	if err != nil {
		return checkpoint, err
	}
	began := position{ms: uint64(max(0, now.Add(-time.Since(s.started)).UnixMilli()))}
	if checkpoint.before(began) {
		return checkpoint, nil
	}
	return s.lastUpTo(ctx, began)
}

// has reports whether the log has an entry, or whether there is none to have.
func (s *session) has(ctx context.Context, at position) (bool, error) {
	if at == (position{}) {
		return true, nil
	}
	entries, err := s.asking.XRange(ctx, s.keys.log, at.String(), at.String()).Result()
	return len(entries) > 0, err
}

// lastCommon is the newest entry that was read, up to at, and that the log still has,
// of which first is the oldest. What was read long ago counts as common.
func (s *session) lastCommon(ctx context.Context, at, first position) (position, error) {
	s.turn.Lock()
	read := s.recent.since(first)
	s.turn.Unlock()
	var failed error
	common := sort.Search(len(read), func(i int) bool { // replicas have a log's beginning
		has, err := s.has(ctx, read[i])
		failed = cmp.Or(failed, err)
		return !has
	})
	switch {
	case failed != nil:
		return at, failed
	case common > 0:
		return read[common-1], nil
	case len(read) > 0:
		at = read[0]
	}
	return s.lastUpTo(ctx, at)
}

// lastUpTo is the newest entry of the log that isn't behind at; zero: none.
func (s *session) lastUpTo(ctx context.Context, at position) (position, error) {
	return idOf(s.asking.XRevRangeN(ctx, s.keys.log, at.String(), "-", 1))
}

// first is the oldest entry of the log; zero: none.
func (s *session) first(ctx context.Context) (position, error) {
	return idOf(s.asking.XRangeN(ctx, s.keys.log, "-", "+", 1))
}

// isCut reports whether the log may have lost its beginning to its length. It is
// never shorter after that; one that is shorter has begun anew, or not been cut.
func (s *session) isCut(ctx context.Context) (bool, error) {
	length, err := s.asking.XLen(ctx, s.keys.log).Result()
	return length >= int64(s.options.LogLength), err
}

func idOf(cmd *redis.XMessageSliceCmd) (position, error) {
	entries, err := cmd.Result()
	if err != nil || len(entries) == 0 {
		return position{}, err
	}
	at, _ := parsePosition(entries[0].ID)
	return at, nil
}

// maxRecent bounds the ids that a node remembers of what it has read: of more than
// what a Redis can have taken without its replicas.
const maxRecent = 4096

// recent are the ids of the last entries that were read, in their order.
type recent struct {
	ids []position // a ring once it has maxRecent
	old int        // the oldest
}

func (r *recent) add(id position) {
	if len(r.ids) < maxRecent {
		r.ids = append(r.ids, id)
		return
	}
	r.ids[r.old] = id
	r.old = (r.old + 1) % maxRecent
}

func (r *recent) all() []position { return slices.Concat(r.ids[r.old:], r.ids[:r.old]) }

// since are those that aren't before a position.
func (r *recent) since(at position) []position {
	return slices.DeleteFunc(r.all(), func(id position) bool { return id.before(at) })
}

// cut forgets those behind a position.
func (r *recent) cut(at position) {
	r.ids, r.old = slices.DeleteFunc(r.all(), at.before), 0
}
