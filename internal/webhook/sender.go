package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
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
	// Static after construction.
	hooks      []*hook
	returnTime time.Duration
	idle       func() // closes connections that are kept
	cancel     context.CancelFunc
	running    sync.WaitGroup

	mu     sync.Mutex // guards the following
	held   held
	timer  *time.Timer // runs while something is held
	closed bool
}

// New starts an app's webhooks; its error quotes no URL.
func New(o Options) (*Sender, error) {
	s := &Sender{returnTime: o.ReturnTime, idle: func() {}}
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
	for i, c := range o.Hooks {
		h, err := newHook(c, i, o)
		if err != nil {
			return nil, err
		}
		s.hooks = append(s.hooks, h)
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	for _, h := range s.hooks {
		s.running.Go(func() { h.run(ctx) })
	}
	return s, nil
}

// Occupied tells that a channel has its first subscriber.
func (s *Sender) Occupied(channel string) {
	if s.told(channel, ChannelOccupied, ChannelVacated) {
		s.arrived(event{Name: ChannelOccupied, Channel: channel})
	}
}

// Vacated tells that a channel's last subscriber has left.
func (s *Sender) Vacated(channel string) {
	if s.told(channel, ChannelOccupied, ChannelVacated) {
		s.departed(event{Name: ChannelVacated, Channel: channel})
	}
}

// MemberAdded tells of a user's first connection in a presence channel.
func (s *Sender) MemberAdded(channel, userID string) {
	if s.told(channel, MemberAdded, MemberRemoved) {
		s.arrived(event{Name: MemberAdded, Channel: channel, UserID: userID})
	}
}

// MemberRemoved tells that a user's last connection has left.
func (s *Sender) MemberRemoved(channel, userID string) {
	if s.told(channel, MemberAdded, MemberRemoved) {
		s.departed(event{Name: MemberRemoved, Channel: channel, UserID: userID})
	}
}

// CacheMissed tells that somebody subscribed to a cache channel that has no
// event to give them.
func (s *Sender) CacheMissed(channel string) {
	if s.told(channel, CacheMiss) {
		s.happened(event{Name: CacheMiss, Channel: channel})
	}
}

// SubscriptionCount tells how many subscribers a channel has.
func (s *Sender) SubscriptionCount(channel string, n int) {
	if s.told(channel, SubscriptionCount) {
		s.happened(event{Name: SubscriptionCount, Channel: channel, Count: &n})
	}
}

// ClientEvent tells what a client sent to a channel. data is JSON; userID is
// empty but in presence channels.
func (s *Sender) ClientEvent(channel, name string, data json.RawMessage, id protocol.SocketID, userID string) {
	if s.told(channel, ClientEvent) {
		text := dataText(data)
		s.happened(event{Name: ClientEvent, Channel: channel, UserID: userID, Event: name, Data: &text, SocketID: id.String()})
	}
}

// told reports whether a hook is told of any of these events in a channel.
// Users' own channels are no channels to an API.
func (s *Sender) told(channel string, names ...string) bool {
	return protocol.KindOf(channel) != protocol.User && slices.ContainsFunc(s.hooks, func(h *hook) bool {
		return slices.ContainsFunc(names, func(name string) bool { return h.takes(name, channel) })
	})
}

func (s *Sender) happened(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(e)
}

// arrived tells of an arrival, unless the departure before it wasn't told yet:
// then neither is.
func (s *Sender) arrived(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held.undo(e.Channel, e.UserID) {
		s.tell(e)
	}
}

// departed holds a departure back.
func (s *Sender) departed(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.held.len() == maxHeld {
		s.tell(s.held.pop())
	}
	s.held.add(e, time.Now().Add(s.returnTime))
	if s.timer == nil {
		s.timer = time.AfterFunc(s.returnTime, s.expire)
	}
}

// expire tells of the departures that were held for long enough.
func (s *Sender) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for s.held.len() > 0 && !s.held.nextDue().After(now) {
		s.tell(s.held.pop())
	}
	s.timer = nil
	if s.held.len() > 0 {
		s.timer = time.AfterFunc(s.held.nextDue().Sub(now), s.expire)
	}
}

// tell needs s.mu, which gives all hooks one order.
func (s *Sender) tell(e event) {
	if s.closed {
		return
	}
	e.at = time.Now()
	for _, h := range s.hooks {
		h.tell(e)
	}
}

// Shutdown ends the webhooks; what happens later is told nobody. Departures
// that are held back are told at once: the clients that the daemon gave up are
// gone, and those that come back to another one are told there. What is queued
// is sent until ctx ends; the error tells how many events were left.
func (s *Sender) Shutdown(ctx context.Context) error {
	s.finish()
	stop := context.AfterFunc(ctx, s.cancel)
	s.running.Wait()
	stop()
	s.cancel()
	s.idle()
	missed := 0
	for _, h := range s.hooks {
		missed += h.missed
	}
	if missed > 0 {
		return fmt.Errorf("%d webhook events were not delivered before the end", missed)
	}
	return nil
}

func (s *Sender) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for s.held.len() > 0 {
		s.tell(s.held.pop())
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.closed = true
	for _, h := range s.hooks {
		close(h.finish)
	}
}
