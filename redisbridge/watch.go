package redisbridge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Watch subscribes to every channel of the Redis at the URL and reports what
// comes, until ctx ends, which is no error. seen is called from one goroutine
// and may keep the payload.
func Watch(ctx context.Context, url string, seen func(channel string, payload []byte)) error {
	e, err := newEndpoint(url)
	if err != nil {
		return fmt.Errorf("redis.url: %w", err)
	}
	l := listener{
		redis:      e,
		patterns:   []string{"*"},
		pingEvery:  pingInterval,
		subscribed: func([]error) {},
		message:    func(channel, payload string) { seen(channel, []byte(payload)) },
		pong:       func() {},
	}
	if err := l.run(ctx); ctx.Err() == nil {
		return fmt.Errorf("redis at %s: %w", e, err)
	}
	return nil
}

// Sighting is a channel of Redis and what came there.
type Sighting struct {
	Channel  string
	Messages int
	Events   int // those of the messages that are events, as Laravel publishes them
}

// Sightings gathers what Watch reports. The zero value is ready for use.
type Sightings struct{ byChannel map[string]*Sighting }

// Saw counts a message.
func (s *Sightings) Saw(channel string, payload []byte) {
	if s.byChannel == nil {
		s.byChannel = map[string]*Sighting{}
	}
	sighting := s.byChannel[channel]
	if sighting == nil {
		sighting = &Sighting{Channel: channel}
		s.byChannel[channel] = sighting
	}
	sighting.Messages++
	if _, err := Decode(payload); err == nil {
		sighting.Events++
	}
}

// List gives them, those with the most messages first.
func (s *Sightings) List() []Sighting {
	var all []Sighting
	for _, sighting := range s.byChannel {
		all = append(all, *sighting)
	}
	slices.SortFunc(all, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Channel, b.Channel))
	})
	return all
}
