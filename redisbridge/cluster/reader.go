package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

const (
	// readCount is how many entries are read at once, or fewer if they are so large
	// that they take too long. The log is longer, so that whoever gets fewer has
	// missed none.
	readCount = 512
	// readTurn is how many of them are acted on before others have their turn.
	readTurn  = 64
	blockTime = time.Second
)

// read delivers what is added to the log, until ctx ends or Redis fails.
func (s *session) read(ctx context.Context) error {
	check := true // entries may have been cut off before they were read
	for ctx.Err() == nil {
		s.turn.Lock()
		at := s.at
		s.turn.Unlock()
		count := s.count
		entries, err := s.next(ctx, at)
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			s.count = max(1, s.count/2)
			return err
		}
		s.count = min(2*s.count, readCount)
		if check || len(entries) == count {
			if err := s.checkGap(ctx, at, entries); err != nil {
				return err
			}
		}
		check = false
		// Positions of what Redis is being asked can be among the entries: its answers
		// are heard first, so that each is acted on in its place.
		s.awaitAnswers()
		for len(entries) > 0 {
			n := min(len(entries), readTurn)
			s.turn.Lock()
			for i := range entries[:n] {
				s.apply(&entries[i])
			}
			s.turn.Unlock()
			entries = entries[n:]
		}
	}
	return context.Cause(ctx)
}

// next waits for entries behind a position; redis.Nil: there were none for a while.
func (s *session) next(ctx context.Context, at position) ([]entry, error) {
	ctx, cancel := context.WithTimeout(ctx, blockTime+answerTime)
	defer cancel()
	cmd := redis.NewSliceCmd(ctx, "XREAD", "COUNT", s.count, "BLOCK", blockTime.Milliseconds(), "STREAMS", s.keys.log, at.String())
	cmd.SetFirstKeyPos(6)
	_ = s.reading.Process(ctx, cmd) // the command has the error
	reply, err := cmd.Result()
	if err != nil {
		return nil, err
	}
	stream, _ := item(reply, 0).([]any)
	messages, _ := item(stream, 1).([]any)
	entries := make([]entry, 0, len(messages))
	for _, m := range messages {
		message, _ := m.([]any)
		fields, _ := item(message, 1).([]any)
		e, ok := parseEntry(textOf(message, 0), fields)
		if !ok {
			return nil, errors.New("XREAD gave an answer that cannot be read")
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, redis.Nil
	}
	return entries, nil
}

// checkGap tells of entries that were cut off between a position and the first of
// entries. It doesn't know whether the one at the position was the last of them.
func (s *session) checkGap(ctx context.Context, at position, entries []entry) error {
	first, err := s.first(ctx)
	if err != nil {
		return err
	}
	if at == (position{}) || !at.before(first) || entries[0].id.before(first) {
		return nil
	}
	s.metrics.gaps.Inc()
	s.missed()
	s.log.Warn("events were missed: the log begins behind what this node had read; a larger scaling.log_length keeps more",
		"read", at.String(), "begins", first.String(), "away", (time.Duration(first.ms-at.ms) * time.Millisecond).String())
	return nil
}

// missed notes that events may have been lost, and has the rosters asked for, in
// which members may be missing too.
func (p *partition) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = time.Now()
	p.resyncAll()
}

// apply acts on an entry. It needs p.turn.
func (p *partition) apply(e *entry) {
	p.at = e.id
	p.recent.add(e.id)
	result := p.applyKind(e)
	p.metrics.entries[result].Inc()
	if result == entryOK && p.keeper != nil {
		if k := p.keeper; k.may() {
			k.tell(e, k.may)
		} else {
			p.resign()
		}
	}
	p.settle(false)
}

func (p *partition) applyKind(e *entry) entryResult {
	if generation, number := e.origin(); generation != "" && !p.see(generation, number) {
		return entryRepeated
	}
	if e.kind == typeEvent {
		return p.applyEvent(e)
	}
	if p.solo {
		return entryOK // of a cluster that this node is no part of
	}
	switch e.kind {
	case typeMemberAdded:
		p.memberAdded(e)
	case typeMemberRemoved:
		p.memberRemoved(e)
	case typeCount:
		if n, err := strconv.Atoi(e.n); err == nil {
			p.node.Hub.Tell(e.channel, channels.SubscriptionCount(e.channel, n))
		}
	case typeOnline, typeOffline:
		p.node.Users.SetOnline(e.user, e.kind == typeOnline)
	case typeTerminate:
		p.node.Terminate(e.user)
	case typeOccupied, typeVacated, typeCacheMiss: // for webhooks
	default: // a newer version's
		return entryUnknown
	}
	return entryOK
}

func (p *partition) applyEvent(e *entry) entryResult {
	generation, _ := e.origin()
	if generation != "" && !p.solo && !p.node.Hub.Wants(e.channel) {
		return entryOK
	}
	event, badSocket := e.toEvent()
	if generation == "" {
		if err := p.checkEvent(&event, e); err != nil {
			p.refuse(e, err)
			return entryRefused
		}
	}
	if badSocket {
		p.metrics.badSockets.Inc()
	}
	if !p.solo && protocol.KindOf(e.channel).IsCache() {
		p.kept[e.channel] = e.id
	}
	p.node.Deliver(&event, generation == "")
	return entryOK
}

// checkEvent checks what an API added; what nodes did has been checked.
func (p *partition) checkEvent(event *protocol.Event, e *entry) error {
	if err := event.Check(); err != nil {
		return err
	}
	size := max(len(e.data), len(e.raw))
	switch limit := p.node.MaxEventSize; {
	case limit > 0 && size > limit:
		return fmt.Errorf("data is %d bytes, the limit is %d (key app.max_event_size)", size, limit)
	case e.raw != "" && !json.Valid(event.Data):
		return errors.New("raw is not JSON; text goes into data")
	case !utf8.ValidString(event.UserID):
		return errors.New("user is not valid UTF-8")
	}
	return nil
}

// refuse tells of an entry that is no event, once in a while.
func (p *partition) refuse(e *entry, err error) {
	if time.Since(p.refused) < time.Minute {
		return
	}
	p.refused = time.Now()
	p.log.Warn("an entry of the log cannot be delivered; further ones within a minute are only counted",
		"entry", e.id.String(), "channel", fmt.Sprintf("%.60q", e.channel), "err", err)
}

// memberAdded needs p.turn.
func (p *partition) memberAdded(e *entry) {
	m := memberOf(e.user, e.info)
	p.mu.Lock()
	h := p.channels[e.channel]
	tell := h != nil && h.roster != nil && !h.roster.Has(e.user) && h.roster.Add(m)
	p.mu.Unlock()
	if tell {
		p.node.Hub.Tell(e.channel, channels.MemberAdded(e.channel, m))
	}
}

// memberRemoved needs p.turn.
func (p *partition) memberRemoved(e *entry) {
	p.mu.Lock()
	h := p.channels[e.channel]
	tell := h != nil && h.roster != nil && h.roster.Has(e.user) && h.roster.Remove(e.user)
	p.mu.Unlock()
	if tell {
		p.node.Hub.Tell(e.channel, channels.MemberRemoved(e.channel, e.user))
	}
}
