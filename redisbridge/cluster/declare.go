package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

func (s *session) declareStep(ctx context.Context, pipe redis.Pipeliner, operations []operation) step {
	s.mu.Lock()
	changes := make([]change, 0, len(operations))
	for _, o := range operations {
		changes = append(changes, s.declaration(o.channel))
	}
	generation := s.generation
	s.mu.Unlock()
	s.metrics.declarations.Add(float64(len(changes)))
	names, args := s.declareArgs(generation, false, changes)
	cmd := declareScript.EvalSha(ctx, pipe, names, args...)
	return step{
		cmd:    cmd,
		script: cmd,
		again:  func(ctx context.Context) *redis.Cmd { return declareScript.Eval(ctx, s.writing, names, args...) },
		answer: func() error { return s.declared(cmd, generation, changes) },
		failed: func(error) { s.declareAlone(changes) },
	}
}

// declareArgs are a script's KEYS and ARGV.
func (p *partition) declareArgs(generation string, dead bool, changes []change) (names []string, args []any) {
	k := &p.keys
	names = []string{k.log, k.nodes, k.channels, k.ledger(generation), k.due}
	args = []any{generation, flag(dead), flag(p.node.Hooks != nil), p.node.MaxMembers, p.options.CountInterval.Milliseconds(), len(changes)}
	for i := range changes {
		c := &changes[i]
		key, kind := 0, protocol.KindOf(c.channel.name)
		if kind.IsPresence() {
			names = append(names, k.members(c.channel.name))
			key = len(names)
		}
		tell := ""
		if p.node.SubscriptionCount && !kind.IsPresence() && kind != protocol.User && c.channel.name[0] != '~' {
			tell = "1"
			if c.wantCount {
				tell = "2"
			}
		}
		args = append(args, c.channel.name, c.subscribers, key, flag(c.wantRoster), tell, len(c.come))
		for _, m := range c.come {
			args = append(args, m.UserID, infoOf(m))
		}
		args = append(args, len(c.leave))
		for _, id := range c.leave {
			args = append(args, id)
		}
	}
	return names, args
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}

// declared reads a script's answer.
func (s *session) declared(cmd *redis.Cmd, generation string, changes []change) error {
	reply, err := cmd.Slice()
	if err != nil {
		return err
	}
	if len(reply) == 1 {
		return gone(generation)
	}
	at, okAt := parsePosition(textOf(reply, 1))
	version, okVersion := item(reply, 2).(int64)
	answers, okAnswers := item(reply, 3).([]any)
	if !okAt || !okVersion || !okAnswers || len(answers) != len(changes) {
		return errors.New("a script's answer cannot be read; do all nodes run the same version?")
	}
	if !s.counts(version) {
		return errLost
	}
	if !s.after(at, func() {
		for i := range changes {
			answer, _ := answers[i].([]any)
			s.enter(&changes[i], item(answer, 0), item(answer, 1))
		}
	}) {
		s.declareAlone(changes)
	}
	return nil
}

// counts notes the ledger's version, and reports whether it is later than the last
// one of the session. It isn't in a Redis that took over from one that knew more.
func (s *session) counts(version int64) bool {
	p := s.partition
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest != s {
		return true
	}
	p.anew = p.anew || version <= p.version
	p.version = version
	return !p.anew
}

// enter acts on a channel's declaration. It needs p.turn.
func (p *partition) enter(c *change, rosterReply, refusedReply any) {
	h := c.channel
	waiting := c.waiting
	var tell []protocol.Frame
	var refused []*place
	p.mu.Lock()
	if refusals, _ := refusedReply.([]any); len(refusals) > 0 {
		for i := range refusals {
			id := textOf(refusals, i)
			if u := h.users[id]; u != nil {
				u.declared = no
			}
			waiting = slices.DeleteFunc(waiting, func(pl *place) bool {
				if pl.user != id {
					return false
				}
				refused = append(refused, pl)
				return true
			})
		}
	}
	if pairs, ok := rosterReply.([]any); ok {
		tell = h.setRoster(pairs)
	}
	p.done(c)
	var roster []byte
	if h.roster != nil && len(waiting) > 0 {
		roster = h.roster.Encode()
	}
	p.mu.Unlock()
	for _, f := range tell {
		p.node.Hub.Tell(h.name, f)
	}
	p.answer(refused, nil, channels.ErrFull)
	p.answer(waiting, roster, nil)
}

// setRoster makes the roster what Redis says, as pairs of user and "nodes
// user_info", and gives what the subscribers have to be told. It needs p.mu.
func (h *holding) setRoster(pairs []any) (tell []protocol.Frame) {
	before := h.roster
	h.roster = channels.NewRoster()
	for i := 0; i+1 < len(pairs); i += 2 {
		_, info, _ := strings.Cut(textOf(pairs, i+1), " ")
		m := memberOf(textOf(pairs, i), info)
		h.roster.Add(m)
		if before != nil && !before.Has(m.UserID) {
			tell = append(tell, channels.MemberAdded(h.name, m))
		}
	}
	if before != nil {
		for m := range before.Members() {
			if !h.roster.Has(m.UserID) {
				tell = append(tell, channels.MemberRemoved(h.name, m.UserID))
			}
		}
	}
	return tell
}
