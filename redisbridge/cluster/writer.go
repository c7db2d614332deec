package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

const (
	// answerTime is how long Redis may take for what it does in milliseconds.
	answerTime = 2 * time.Second
	// maxChanges and maxMembers bound a script's work, in channels and in members
	// that come or leave, so that it doesn't keep others waiting.
	maxChanges = 200
	maxMembers = 1000
	// maxOperations and maxFlush, bytes of entries, bound what goes to Redis at once,
	// and has to be answered within answerTime.
	maxOperations = 2000
	maxFlush      = 4 << 20
)

var (
	errNotYet = errors.New("not connected yet")
	errGone   = errors.New("Redis no longer knows this node: its lease had run out and another node cleaned up after it, or Redis lost it")
	errLost   = errors.New("declarations of this node are lost: its Redis took over from one that knew more")
)

// gone is errGone of a generation.
type gone string

func (gone) Error() string        { return errGone.Error() }
func (gone) Is(target error) bool { return target == errGone }

// write takes what is queued to Redis, in order, all at once that has gathered
// while the last answer was awaited. It ends with ctx.
func (p *partition) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for {
			up, operations := p.take()
			if len(operations) == 0 {
				break
			}
			if !up {
				p.answerAlone(operations, channels.ErrAway)
				continue
			}
			if err := p.flush(ctx, operations); err != nil {
				p.down(err)
			}
		}
	}
}

func (p *partition) take() (up bool, operations []operation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.operations) && n < maxOperations && size < maxFlush {
		if a := p.operations[n].add; a != nil {
			size += a.size
		}
		n++
	}
	p.waiting -= size
	operations = p.operations[:n:n]
	if p.operations = p.operations[n:]; len(p.operations) == 0 {
		p.operations = nil
	}
	return p.up, operations
}

// step is a command and what becomes of its answer, or of its failure.
type step struct {
	cmd    redis.Cmder
	script *redis.Cmd                           // cmd, if it is a script
	again  func(ctx context.Context) *redis.Cmd // for a Redis that doesn't know the script
	answer func() error
	failed func(err error)
}

// flush sends operations and acts on the answers. Those that failed have been
// answered without Redis when it returns the first failure.
func (p *partition) flush(ctx context.Context, operations []operation) error {
	defer p.fly()()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	pipe := p.client.Pipeline()
	var steps []step
	for len(operations) > 0 {
		first := operations[0]
		n := 1
		switch {
		case first.add != nil:
			steps = append(steps, p.addStep(ctx, pipe, first.add))
		case first.look != nil:
			steps = append(steps, p.lookStep(ctx, pipe, first.look))
		default:
			n = p.scriptful(operations)
			steps = append(steps, p.declareStep(ctx, pipe, operations[:n]))
		}
		operations = operations[n:]
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	var failure error
	for _, s := range steps {
		err := s.cmd.Err()
		if err != nil && s.script != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			again := s.again(ctx)
			s.script.SetVal(again.Val())
			s.script.SetErr(again.Err())
			err = again.Err()
		}
		if err == nil {
			err = s.answer()
		}
		if err != nil {
			if failure == nil {
				failure = err
				p.setDown(err) // before anybody is answered without Redis
			}
			if notSent(p.client, err) {
				err = away(err)
			}
			s.failed(err)
		}
	}
	return failure
}

// scriptful is how many declarations, at the beginning of operations, go into one
// script. A channel is never divided.
func (p *partition) scriptful(operations []operation) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	members := 0
	for n < len(operations) && n < maxChanges && members < maxMembers && operations[n].channel != nil {
		members += len(operations[n].channel.changed)
		n++
	}
	return n
}

// fly notes that something is sent to Redis; what it returns, that it is answered.
func (p *partition) fly() (answered func()) {
	flight := make(chan struct{})
	p.mu.Lock()
	p.flight = flight
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.flight = nil
		p.mu.Unlock()
		close(flight)
	}
}

// awaitAnswers waits for the answers to what was sent to Redis before.
func (p *partition) awaitAnswers() {
	p.mu.Lock()
	flight := p.flight
	p.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

func (p *partition) addStep(ctx context.Context, pipe redis.Pipeliner, a *addition) step {
	p.mu.Lock()
	p.number++
	a.from = p.generation + ":" + strconv.FormatUint(p.number, 10)
	a.fields = append(a.fields, "from", a.from)
	p.mu.Unlock()
	cmd := p.xadd(ctx, pipe, a)
	return step{
		cmd: cmd,
		answer: func() error {
			id, ok := parsePosition(cmd.Val())
			if !ok {
				return fmt.Errorf("XADD answered %.40q", cmd.Val())
			}
			done := a.done
			p.mu.Lock()
			p.sent.add(id, a)
			p.mu.Unlock()
			if done != nil {
				done(nil)
			}
			return nil
		},
		failed: func(err error) { p.addAlone(a, err) },
	}
}

// xadd adds to a pipeline, whose commands have their errors later.
func (p *partition) xadd(ctx context.Context, pipe redis.Pipeliner, a *addition) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx, append([]any{"XADD", p.keys.log, "*"}, a.fields...)...)
	_ = pipe.Process(ctx, cmd)
	return cmd
}

func (p *partition) declareStep(ctx context.Context, pipe redis.Pipeliner, operations []operation) step {
	p.mu.Lock()
	changes := make([]change, 0, len(operations))
	for _, o := range operations {
		changes = append(changes, p.declaration(o.channel))
	}
	generation, session := p.generation, p.sessions
	p.mu.Unlock()
	p.metrics.declarations.Add(float64(len(changes)))
	names, args := p.declareArgs(generation, false, changes)
	cmd := declareScript.EvalSha(ctx, pipe, names, args...)
	return step{
		cmd:    cmd,
		script: cmd,
		again:  func(ctx context.Context) *redis.Cmd { return declareScript.Eval(ctx, p.client, names, args...) },
		answer: func() error { return p.declared(cmd, generation, session, changes) },
		failed: func(error) { p.declareAlone(changes) },
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

// declared reads the answer of a script that was sent in a session.
func (p *partition) declared(cmd *redis.Cmd, generation string, session int, changes []change) error {
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
	if !p.counts(version, session) {
		return errLost
	}
	if !p.after(at, session, func() {
		for i := range changes {
			answer, _ := answers[i].([]any)
			p.enter(&changes[i], item(answer, 0), item(answer, 1))
		}
	}) {
		p.declareAlone(changes)
	}
	return nil
}

// counts notes the ledger's version, and reports whether it is later than the last
// one of the session. It isn't in a Redis that took over from one that knew more.
func (p *partition) counts(version int64, session int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions != session {
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
		p.broadcast(h.name, f)
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

func (p *partition) lookStep(ctx context.Context, pipe redis.Pipeliner, l *look) step {
	names := []string{p.keys.channels, p.keys.log}
	args := make([]any, len(l.names))
	for i, name := range l.names {
		args[i] = name
	}
	p.mu.Lock()
	session := p.sessions
	p.mu.Unlock()
	cmd := lookScript.EvalSha(ctx, pipe, names, args...)
	return step{
		cmd:    cmd,
		script: cmd,
		again:  func(ctx context.Context) *redis.Cmd { return lookScript.Eval(ctx, p.client, names, args...) },
		answer: func() error {
			reply, err := cmd.Slice()
			if err != nil {
				return err
			}
			at, _ := parsePosition(textOf(reply, 0))
			counts, _ := item(reply, 1).([]any)
			online := make([]bool, len(l.names))
			for i := range min(len(online), len(counts)) {
				online[i] = counts[i] != nil
			}
			if !p.after(at, session, func() { l.then(online) }) {
				p.lookAgain(l)
			}
			return nil
		},
		failed: func(error) { p.lookAlone(l) },
	}
}

// after acts once the log has been read up to a position, if need be by whoever
// reads it. It reports false, and doesn't act, if another session than the one of
// the position has begun: its log may not be the same.
func (p *partition) after(at position, session int, act func()) bool {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	up, current := p.up, p.sessions == session
	p.mu.Unlock()
	switch {
	case up && !current:
		return false
	case up && p.at.before(at):
		// A script that Redis didn't know was asked for once more, and its answer is
		// behind those of the same flush that come after it.
		i, _ := slices.BinarySearchFunc(p.results, at, func(r result, at position) int {
			if at.before(r.at) {
				return 1
			}
			return -1
		})
		p.results = slices.Insert(p.results, i, result{at, act})
	default:
		act()
	}
	return true
}

func (p *partition) lookAgain(l *look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue(operation{look: l})
}

// settle acts on what waited for the position that the log has been read up to,
// or on everything. It needs p.turn.
func (p *partition) settle(everything bool) {
	for len(p.results) > 0 && (everything || !p.at.before(p.results[0].at)) {
		r := p.results[0]
		p.results = p.results[1:]
		r.act()
	}
}

func item(reply []any, i int) any {
	if i < len(reply) {
		return reply[i]
	}
	return nil
}

func textOf(reply []any, i int) string {
	text, _ := item(reply, i).(string)
	return text
}
