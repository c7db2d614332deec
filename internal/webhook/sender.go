package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"broadcastd/protocol"
)

// Defaults of Options.
const (
	// returnTime is Pusher's.
	returnTime = 3 * time.Second
	// maxQueue is enough for the members of a hundred thousand connections
	// that are lost at once.
	maxQueue = 32 << 20
)

// maxHeld bounds the departures that are held back. Further ones let the
// oldest be told early.
const maxHeld = 100_000

// Options are an app's webhooks. Log and Metrics are required.
type Options struct {
	App         string // its id, for logs and metrics
	Key, Secret string
	Hooks       []Hook
	// ReturnTime is how long a client may be away without being told of; 0
	// means 3 s.
	ReturnTime time.Duration
	// MaxQueue is about the memory that may wait for one hook, in bytes; 0
	// means 32 MiB.
	MaxQueue  int
	Transport http.RoundTripper // nil: one of its own
	Log       *slog.Logger
	Metrics   *Metrics
}

// Sender tells an app's hooks what happens. It is a channels.Observer, and its
// methods never wait.
type Sender struct {
	Teller // without an id

	// Static after construction.
	opts       Options // but for hooks, key and secret
	returnTime time.Duration
	idle       func() // closes connections that are kept
	ctx        context.Context
	cancel     context.CancelFunc
	running    sync.WaitGroup
	missed     atomic.Int64 // events that hooks left at their end

	hooks atomic.Pointer[[]*hook] // changed under mu

	mu     sync.Mutex // guards the following
	held   held
	timer  *time.Timer // runs while something is held
	closed bool
	// done is what unlock has to call.
	done []func()
}

// New starts an app's webhooks; its error quotes no URL.
func New(o Options) (*Sender, error) {
	s := &Sender{returnTime: o.ReturnTime, idle: func() {}}
	s.Teller = Teller{sender: s}
	if s.returnTime == 0 {
		s.returnTime = returnTime
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = maxQueue
	}
	if o.Transport == nil {
		own := newTransport()
		o.Transport, s.idle = own, own.CloseIdleConnections
	}
	s.opts = o
	s.ctx, s.cancel = context.WithCancel(context.Background())
	hooks, err := s.newHooks(o.Key, o.Secret, o.Hooks)
	if err != nil {
		return nil, err
	}
	s.run(hooks)
	return s, nil
}

func (s *Sender) newHooks(key, secret string, all []Hook) (hooks []*hook, err error) {
	o := s.opts
	o.Key, o.Secret = key, secret
	for i, c := range all {
		h, err := newHook(c, i, o)
		if err != nil {
			return nil, err
		}
		hooks = append(hooks, h)
	}
	return hooks, nil
}

func (s *Sender) run(hooks []*hook) {
	s.hooks.Store(&hooks)
	for _, h := range hooks {
		s.running.Go(func() {
			h.run(s.ctx)
			s.missed.Add(int64(h.missed))
		})
	}
}

// Replace has other hooks told from now on, or the same ones with another key and
// secret. What the former ones had queued is still sent to them, as it was to be
// signed, and may come after what the new ones get. Its error, that of New, changes
// nothing.
func (s *Sender) Replace(key, secret string, all []Hook) error {
	hooks, err := s.newHooks(key, secret, all)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return nil
	}
	for _, h := range *s.hooks.Load() {
		close(h.finish)
	}
	s.run(hooks)
	return nil
}

// told reports whether a hook is told of such an event in a channel, or of its
// opposite, if it has one. Users' own channels are no channels to an API.
func (s *Sender) told(channel, name, opposite string) bool {
	return protocol.KindOf(channel) != protocol.User && slices.ContainsFunc(*s.hooks.Load(), func(h *hook) bool {
		return h.takes(name, channel) || opposite != "" && h.takes(opposite, channel)
	})
}

func (s *Sender) happened(e event) {
	s.mu.Lock()
	defer s.unlock()
	s.tell(e)
}

// arrived tells of an arrival, unless the departure before it wasn't told yet:
// then neither is.
func (s *Sender) arrived(e event) {
	s.mu.Lock()
	defer s.unlock()
	departed, undone := s.held.undo(e.Channel, e.UserID)
	if !undone || departed.may != nil && !departed.may() { // others may have told
		s.tell(e)
		return
	}
	s.settle(departed.receipt)
	s.settle(e.receipt)
}

// departed holds a departure back.
func (s *Sender) departed(e event) {
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return
	}
	// Who tells once more what isn't done may tell it of one that is held still.
	if again, is := s.held.undo(e.Channel, e.UserID); is {
		s.settle(again.receipt)
	}
	if e.receipt != nil && e.may == nil {
		s.tell(e)
		return
	}
	if s.held.len() == maxHeld {
		s.tellHeld()
	}
	s.held.add(e, time.Now().Add(s.returnTime))
	if s.timer == nil {
		s.timer = time.AfterFunc(s.returnTime, s.expire)
	}
}

// expire tells of the departures that were held for long enough.
func (s *Sender) expire() {
	s.mu.Lock()
	defer s.unlock()
	now := time.Now()
	for s.held.len() > 0 && !s.held.nextDue().After(now) {
		s.tellHeld()
	}
	s.timer = nil
	if s.held.len() > 0 {
		s.timer = time.AfterFunc(s.held.nextDue().Sub(now), s.expire)
	}
}

// tellHeld tells of the oldest departure, if that may still be. It needs s.mu.
func (s *Sender) tellHeld() {
	if e := s.held.pop(); e.may == nil || e.may() {
		s.tell(e)
	}
}

// tell needs s.mu, which gives all hooks one order.
func (s *Sender) tell(e event) {
	if s.closed {
		return
	}
	e.at = time.Now()
	for _, h := range *s.hooks.Load() {
		h.tell(e)
	}
	s.settle(e.receipt)
}

// settle drops what a receipt was made with. It needs s.mu.
func (s *Sender) settle(r *receipt) {
	if r.drop() {
		s.done = append(s.done, r.done)
	}
}

// unlock gives s.mu back, and then calls who waits for what is done.
func (s *Sender) unlock() {
	done := s.done
	s.done = nil
	s.mu.Unlock()
	for _, f := range done {
		f()
	}
}

// Shutdown ends the webhooks; what happens later is told nobody. Departures
// that are held back are told at once: the clients that the daemon gave up are
// gone, and those that come back to another one are told there. Those with an id
// are not, since whoever tells what isn't done will hold them back again. What is
// queued is sent until ctx ends; the error tells how many events were left.
func (s *Sender) Shutdown(ctx context.Context) error {
	s.finish()
	stop := context.AfterFunc(ctx, s.cancel)
	s.running.Wait()
	stop()
	s.cancel()
	s.idle()
	if missed := s.missed.Load(); missed > 0 {
		return fmt.Errorf("%d webhook events were not delivered before the end", missed)
	}
	return nil
}

func (s *Sender) finish() {
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return
	}
	for s.held.len() > 0 {
		if e := s.held.pop(); e.receipt == nil {
			s.tell(e)
		}
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.closed = true
	for _, h := range *s.hooks.Load() {
		close(h.finish)
	}
}
