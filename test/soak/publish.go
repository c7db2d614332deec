package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const partitions = 2

// publishers are those that run: each publishes one thing after the other.
var publishers = []struct {
	group string
	what  func(p *publisher)
}{
	{"many", (*publisher).one}, {"many", (*publisher).one}, {"many", (*publisher).some},
	{"many", (*publisher).batch}, {"many", (*publisher).xadd}, {"many", (*publisher).publish},
	{"solo", (*publisher).one}, {"solo", (*publisher).batch}, {"solo", (*publisher).publish},
}

// publisher is an API that has something to tell.
type publisher struct {
	s      *soak
	group  *group
	name   string
	random *rand.Rand
}

// run publishes until ctx ends, so many times a second.
func (p *publisher) run(ctx context.Context, rate float64, what func(*publisher)) {
	for {
		pause := time.Duration((0.5 + p.random.Float64()) * float64(time.Second) / rate)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		p.s.load.RLock()
		what(p)
		p.s.load.RUnlock()
	}
}

// next begins an event.
func (p *publisher) next(source string, channels ...string) *event {
	e := &event{group: p.group, source: source, publisher: p.name, channels: channels, began: p.s.now()}
	p.s.journal.publish(e)
	return e
}

func (p *publisher) channel() string { return p.group.channels[p.random.IntN(len(p.group.channels))] }

// data is what the event's receivers know it by.
func data(e *event, random *rand.Rand) string {
	size := 20 + random.IntN(300)
	if random.IntN(20) == 0 {
		size = 8000
	}
	return fmt.Sprintf(`{"id":%d,"pad":%q}`, e.id, strings.Repeat("x", size))
}

type apiEvent struct {
	Name     string   `json:"name"`
	Channels []string `json:"channels,omitempty"`
	Channel  string   `json:"channel,omitempty"`
	Data     string   `json:"data"`
	Socket   string   `json:"socket_id,omitempty"`
}

func (p *publisher) one() {
	e := p.next(byHTTP, p.channel())
	body := apiEvent{Name: "event", Channel: e.channels[0], Data: data(e, p.random)}
	if p.random.IntN(5) == 0 { // sent by a client that shall not get it
		c := p.group.clients[p.random.IntN(len(p.group.clients))]
		c.mu.Lock()
		if c.conn != nil {
			body.Socket = c.socketID
			p.s.journal.note(func() { e.sender, e.life = c, c.life })
		}
		c.mu.Unlock()
	}
	p.post("/events", []*event{e}, body)
}

func (p *publisher) some() {
	channels := map[string]bool{p.channel(): true, p.channel(): true, p.channel(): true}
	var names []string
	for _, name := range p.group.channels {
		if channels[name] {
			names = append(names, name)
		}
	}
	e := p.next(byHTTP, names...)
	p.post("/events", []*event{e}, apiEvent{Name: "event", Channels: names, Data: data(e, p.random)})
}

func (p *publisher) batch() {
	var events []*event
	var batch []apiEvent
	for range 1 + p.random.IntN(3) {
		e := p.next(byHTTP, p.channel())
		events = append(events, e)
		batch = append(batch, apiEvent{Name: "event", Channel: e.channels[0], Data: data(e, p.random)})
	}
	p.post("/batch_events", events, map[string]any{"batch": batch})
}

// post gives a node the events.
func (p *publisher) post(path string, events []*event, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // it is ours
	}
	n := p.group.nodes[p.random.IntN(len(p.group.nodes))]
	addr, _, run := n.at()
	p.s.journal.note(func() {
		for _, e := range events {
			e.node, e.run = n, run
		}
	})
	status, answer, err := 0, []byte(nil), errNotSent
	if addr != "" {
		status, answer, err = ask(addr, http.MethodPost, path, nil, text)
	}
	o := unknown
	switch {
	case errors.Is(err, errNotSent), status == http.StatusServiceUnavailable && strings.Contains(string(answer), "none of the events was kept"):
		o = refused
	case err == nil && status == http.StatusOK:
		o = accepted
	case err == nil && status != http.StatusServiceUnavailable:
		p.s.violate("node %s answered a good request to publish with %d: %s", n.name, status, answer)
	}
	now := p.s.now()
	for _, e := range events {
		p.s.journal.answer(e, now, o)
	}
}

func (p *publisher) xadd() {
	e := p.next(byXADD, p.channel())
	stream := fmt.Sprintf("broadcastd:{%s:%d}:log", appID, crc32.ChecksumIEEE([]byte(e.channels[0]))%partitions)
	p.tell(e, func(ctx context.Context, r *redis.Client) error {
		return r.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{
			"channel", e.channels[0], "event", "event", "data", data(e, p.random),
		}}).Err()
	})
}

func (p *publisher) publish() {
	e := p.next(byPUBLISH, p.channel())
	payload := fmt.Sprintf(`{"event":"event","data":%s,"socket":null}`, data(e, p.random))
	p.tell(e, func(ctx context.Context, r *redis.Client) error {
		return r.Publish(ctx, p.group.prefix+e.channels[0], payload).Err()
	})
}

// tell asks Redis, which may be away.
func (p *publisher) tell(e *event, do func(context.Context, *redis.Client) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	o := accepted
	if do(ctx, p.s.redis.client) != nil {
		o = unknown
	}
	p.s.journal.answer(e, p.s.now(), o)
}
