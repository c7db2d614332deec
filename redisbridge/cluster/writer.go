package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/redisbridge"
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
	errGone   = errors.New("this node is no longer known to Redis: its lease had run out and another node cleaned up after it, or Redis lost it")
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
			s, operations := p.take()
			if len(operations) == 0 {
				break
			}
			if s == nil {
				p.answerAlone(operations, channels.ErrAway)
				continue
			}
			if err := s.flush(ctx, operations); err != nil {
				p.down(err)
			}
		}
	}
}

// take gives what is queued, and in which session it is sent; nil: Redis is away.
func (p *partition) take() (s *session, operations []operation) {
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
	if p.up {
		s = p.latest
	}
	return s, operations
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
func (s *session) flush(ctx context.Context, operations []operation) error {
	defer s.fly()()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	pipe := s.writing.Pipeline()
	var steps []step
	for len(operations) > 0 {
		first := operations[0]
		n := 1
		switch {
		case first.add != nil:
			steps = append(steps, s.addStep(ctx, pipe, first.add))
		case first.look != nil:
			steps = append(steps, s.lookStep(ctx, pipe, first.look))
		default:
			n = s.scriptful(operations)
			steps = append(steps, s.declareStep(ctx, pipe, operations[:n]))
		}
		operations = operations[n:]
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	var failure error
	for _, st := range steps {
		err := st.cmd.Err()
		if err != nil && st.script != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			again := st.again(ctx)
			st.script.SetVal(again.Val())
			st.script.SetErr(again.Err())
			err = again.Err()
		}
		if err == nil {
			err = st.answer()
		}
		if err != nil {
			if failure == nil {
				failure = err
				s.setDown(err) // before anybody is answered without Redis
			}
			if errors.Is(err, redisbridge.ErrBroken) || errors.Is(err, redis.ErrClosed) { // it was not sent
				err = away(err)
			}
			st.failed(err)
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

func (s *session) addStep(ctx context.Context, pipe redis.Pipeliner, a *addition) step {
	s.mu.Lock()
	s.number++
	a.from = s.generation + ":" + strconv.FormatUint(s.number, 10)
	a.fields = append(a.fields, "from", a.from)
	s.mu.Unlock()
	cmd := s.xadd(ctx, pipe, a)
	return step{
		cmd: cmd,
		answer: func() error {
			id, ok := parsePosition(cmd.Val())
			if !ok {
				return fmt.Errorf("XADD answered %.40q", cmd.Val())
			}
			done := a.done
			s.mu.Lock()
			s.sent.add(id, a)
			s.mu.Unlock()
			if done != nil {
				done(nil)
			}
			return nil
		},
		failed: func(err error) { s.addAlone(a, err) },
	}
}

// xadd adds to a pipeline, whose commands have their errors later.
func (p *partition) xadd(ctx context.Context, pipe redis.Pipeliner, a *addition) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx, append([]any{"XADD", p.keys.log, "*"}, a.fields...)...)
	_ = pipe.Process(ctx, cmd)
	return cmd
}

// after acts once the log has been read up to a position, if need be by whoever
// reads it. It reports false, and doesn't act, if another session has begun since:
// its log may not be the same.
func (s *session) after(at position, act func()) bool {
	p := s.partition
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	up, current := p.up, p.latest == s
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

// settle acts on what waited for the position that the log has been read up to,
// or on everything. It needs p.turn.
func (p *partition) settle(everything bool) {
	for len(p.results) > 0 && (everything || !p.at.before(p.results[0].at)) {
		r := p.results[0]
		p.results = p.results[1:]
		r.act()
	}
}
