package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"broadcastd/protocol"
)

// maxKeep is about how much of last events goes to Redis at once, in bytes.
const maxKeep = 1 << 20

// save keeps the last events of cache channels, and then notes how far the log has
// been worked through, if the node is the keeper.
func (s *session) save(ctx context.Context) error {
	s.turn.Lock()
	if s.keeper == nil {
		s.turn.Unlock()
		return nil
	}
	at, told, kept := s.at.String(), s.keeper.checkpoint(s.at).String(), maps.Clone(s.kept)
	s.turn.Unlock()
	var now time.Time // Redis's, as its successor's clock may be another
	if len(kept) > 0 {
		var err error
		if now, err = s.asking.Time(ctx).Result(); err != nil {
			return err
		}
	}
	var events []any
	size := 0
	for channel := range kept {
		e, left, ok := s.node.Hub.LastEvent(channel)
		if !ok {
			continue
		}
		text, err := encodeKept(&e, now.Add(left))
		if err != nil {
			continue // its data isn't JSON
		}
		events = append(events, channel, left.Milliseconds(), text)
		if size += len(text); size > maxKeep {
			if is, err := s.keepEvents(ctx, "", "", events); err != nil || !is {
				return err
			}
			events, size = nil, 0
		}
	}
	if is, err := s.keepEvents(ctx, at, told, events); err != nil || !is {
		return err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	for channel, id := range kept {
		if s.kept[channel] == id {
			delete(s.kept, channel)
		}
	}
	return nil
}

// keepEvents reports whether the node is the keeper still.
func (s *session) keepEvents(ctx context.Context, at, told string, events []any) (bool, error) {
	s.mu.Lock()
	args := append([]any{s.generation, at, told}, events...)
	s.mu.Unlock()
	k := &s.keys
	is, err := keepScript.Run(ctx, s.asking, []string{k.cache, k.cached, k.position, k.hooks, k.keeper}, args...).Int()
	return is == 1, err
}

// forgetKept drops what the keeper has kept.
func (p *partition) forgetKept(checkpoint string) {
	at, ok := parsePosition(checkpoint)
	p.turn.Lock()
	defer p.turn.Unlock()
	if !ok || p.keeper != nil {
		return
	}
	for channel, id := range p.kept {
		if !at.before(id) {
			delete(p.kept, channel)
		}
	}
}

// restore loads the last events of cache channels. They can be many, so that only
// the client bounds the time, that of each answer.
func (s *session) restore(ctx context.Context) error {
	now, err := s.asking.Time(ctx).Result()
	if err != nil {
		return err
	}
	asked := time.Now()
	var cursor uint64
	for {
		pairs, next, err := s.asking.HScan(ctx, s.keys.cache, cursor, "", 100).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			e, until, err := decodeKept(pairs[i], pairs[i+1])
			if err != nil {
				s.log.Warn("the last event of a channel cannot be read", "channel", fmt.Sprintf("%.60q", pairs[i]), "err", err)
				continue
			}
			if left := until.Sub(now) - time.Since(asked); left > 0 && protocol.CheckChannel(pairs[i]) == nil {
				s.node.Hub.Restore(&e, left)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// keptEvent is the last event of a cache channel as Redis has it.
type keptEvent struct {
	Name  string          `json:"event"`
	Data  json.RawMessage `json:"data"`
	Until int64           `json:"until"` // ms of Unix time, by Redis's clock
}

func encodeKept(e *protocol.Event, until time.Time) ([]byte, error) {
	return json.Marshal(keptEvent{e.Name, e.Data, until.UnixMilli()})
}

func decodeKept(channel, text string) (e protocol.Event, until time.Time, err error) {
	var kept keptEvent
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return e, until, err
	}
	return protocol.Event{Channel: channel, Name: kept.Name, Data: kept.Data}, time.UnixMilli(kept.Until), nil
}
