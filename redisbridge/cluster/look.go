package cluster

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// look asks in which of some channels anybody is, and is answered when the log has
// been read as far as it was then.
type look struct {
	names []string // as keys.channels has them: signed-in users, or connections
	then  func(occupied []bool)
	local func() []bool // what this node knows
}

// maxLook bounds the names that are asked for at once, in a script's unpack.
const maxLook = 1000

// online asks which users are signed in anywhere.
func (p *partition) online(ids []string, then func(online []bool, ids []string)) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = userName(id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue(operation{look: &look{
		names: names,
		then:  func(online []bool) { then(online, ids) },
		local: func() []bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			here := make([]bool, len(names))
			for i, name := range names {
				h := p.channels[name]
				here[i] = h != nil && h.subscribers > 0
			}
			return here
		},
	}})
}

// askOnline asks anew which of the users are online whom clients here watch.
func (p *partition) askOnline(ctx context.Context, fresh bool) {
	if fresh {
		pause(ctx, settleTime)
	}
	if ctx.Err() != nil {
		return
	}
	var watched []string
	for _, id := range p.node.Users.Watched() {
		if partitionOf(userName(id), p.options.Partitions) == p.index {
			watched = append(watched, id)
		}
	}
	for len(watched) > 0 {
		n := min(len(watched), maxLook)
		p.online(watched[:n], func(online []bool, ids []string) {
			for i, id := range ids {
				p.node.Users.SetOnline(id, online[i])
			}
		})
		watched = watched[n:]
	}
}

// catchUp waits until this node has read what the log holds.
func (p *partition) catchUp(ctx context.Context) error {
	done := make(chan struct{})
	p.mu.Lock()
	p.queue(operation{look: &look{
		names: []string{connectionsName}, then: func([]bool) { close(done) }, local: func() []bool { return nil },
	}})
	p.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) lookStep(ctx context.Context, pipe redis.Pipeliner, l *look) step {
	names := []string{s.keys.channels, s.keys.log}
	args := make([]any, len(l.names))
	for i, name := range l.names {
		args[i] = name
	}
	cmd := lookScript.EvalSha(ctx, pipe, names, args...)
	return step{
		cmd:    cmd,
		script: cmd,
		again:  func(ctx context.Context) *redis.Cmd { return lookScript.Eval(ctx, s.writing, names, args...) },
		answer: func() error {
			reply, err := cmd.Slice()
			if err != nil {
				return err
			}
			at, _ := parsePosition(textOf(reply, 0))
			counts, _ := item(reply, 1).([]any)
			occupied := make([]bool, len(l.names))
			for i := range min(len(occupied), len(counts)) {
				occupied[i] = counts[i] != nil
			}
			if !s.after(at, func() { l.then(occupied) }) {
				s.lookAgain(l)
			}
			return nil
		},
		failed: func(error) { s.lookAlone(l) },
	}
}

func (p *partition) lookAgain(l *look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue(operation{look: l})
}
