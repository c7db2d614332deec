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
func (p *partition) save(ctx context.Context) error {
	p.turn.Lock()
	if p.keeper == nil {
		p.turn.Unlock()
		return nil
	}
	at, told, kept := p.at.String(), p.keeper.checkpoint(p.at).String(), maps.Clone(p.kept)
	p.turn.Unlock()
	var now time.Time // Redis's, as its successor's clock may be another
	if len(kept) > 0 {
		var err error
		if now, err = p.client.Time(ctx).Result(); err != nil {
			return err
		}
	}
	var events []any
	size := 0
	for channel := range kept {
		e, left, ok := p.node.Hub.LastEvent(channel)
		if !ok {
			continue
		}
		text, err := encodeKept(&e, now.Add(left))
		if err != nil {
			continue // its data isn't JSON
		}
		events = append(events, channel, left.Milliseconds(), text)
		if size += len(text); size > maxKeep {
			if is, err := p.keepEvents(ctx, "", "", events); err != nil || !is {
				return err
			}
			events, size = nil, 0
		}
	}
	if is, err := p.keepEvents(ctx, at, told, events); err != nil || !is {
		return err
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	for channel, id := range kept {
		if p.kept[channel] == id {
			delete(p.kept, channel)
		}
	}
	return nil
}

// keepEvents reports whether the node is the keeper still.
func (p *partition) keepEvents(ctx context.Context, at, told string, events []any) (bool, error) {
	p.mu.Lock()
	args := append([]any{p.generation, at, told}, events...)
	p.mu.Unlock()
	k := &p.keys
	is, err := keepScript.Run(ctx, p.client, []string{k.cache, k.cached, k.position, k.hooks, k.keeper}, args...).Int()
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
func (p *partition) restore(ctx context.Context) error {
	now, err := p.client.Time(ctx).Result()
	if err != nil {
		return err
	}
	asked := time.Now()
	var cursor uint64
	for {
		pairs, next, err := p.client.HScan(ctx, p.keys.cache, cursor, "", 100).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			e, until, err := decodeKept(pairs[i], pairs[i+1])
			if err != nil {
				p.log.Warn("the last event of a channel cannot be read", "channel", fmt.Sprintf("%.60q", pairs[i]), "err", err)
				continue
			}
			if left := until.Sub(now) - time.Since(asked); left > 0 && protocol.CheckChannel(pairs[i]) == nil {
				p.node.Hub.Restore(&e, left)
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
