package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// partition is a part of an app's channels: a log, and who is in them.
type partition struct {
	// static
	node    channels.Node
	index   int
	keys    keys
	client  redis.UniversalClient
	options *Options
	log     *slog.Logger
	metrics *metrics
	started time.Time
	solo    bool          // the log is read, and nothing shared
	tried   chan struct{} // closed: Redis has answered, or not, for the first time
	try     sync.Once
	ending  context.Context // over once the node has left
	end     context.CancelFunc
	ended   chan struct{} // closed: run has ended

	// leased is until when the node has its lease as the keeper, by its own clock.
	leased atomic.Pointer[time.Time]

	// turn is held while something happens that has a place in the log's order.
	// It guards the following.
	turn    sync.Mutex
	at      position // up to where the log has been read
	recent  recent
	placed  bool                // at was found once: zero is before the first entry then
	results []result            // that wait for their position, by it
	seen    map[string]*seen    // by generation
	kept    map[string]position // cache channels whose last event the keeper hasn't kept yet
	keeper  *keeper             // nil: another node is it
	refused time.Time           // when an entry was that

	// owned by run
	count    int       // how many entries are read at once
	failure  string    // why Redis couldn't be used, as it was reported
	reported time.Time // when

	mu sync.Mutex // guards the following
	// up: Redis answers and the log is read. Otherwise what would be declared
	// waits, and clients are answered by what this node knows.
	up         bool
	since      time.Time // since when up is what it is
	why        error     // why it isn't up
	lost       time.Time // when entries were missed, or may have been
	latest     *session  // that has begun; nil: there was none
	generation string
	registered bool  // the generation has had a lease
	version    int64 // of its ledger
	anew       bool  // the next session is to declare everything
	channels   map[string]*holding
	operations []operation
	waiting    int    // about the memory of the entries among them, bytes
	number     uint64 // of the last entry that this node added
	sent       sent
	flight     chan struct{} // closed once what was sent to Redis is answered; nil: nothing was

	wake chan struct{}
}

// operation is something for Redis; exactly one of its parts is set.
type operation struct {
	channel *holding
	add     *addition
	look    *look
}

// addition is an entry to be added to the log.
type addition struct {
	fields []any
	from   string // generation:number; empty until it is sent
	size   int    // about the memory it takes, bytes
	// done is told whether Redis has kept it; nil: nobody waits.
	done func(error)
	// event is delivered here alone if Redis is away; nil: it is not.
	event *protocol.Event
}

// result is what Redis answered, to be acted on when the log has been read up to
// a position.
type result struct {
	at  position
	act func() // with p.turn
}

func newPartition(c *Cluster, node channels.Node, index int) *partition {
	o, k := &c.options, newKeys(c.options.Prefix, node.App, index)
	ending, end := context.WithCancel(context.Background())
	return &partition{
		ending: ending, end: end, ended: make(chan struct{}),
		node: node, index: index, keys: k, client: c.client, options: o, metrics: c.metrics, started: c.started,
		tried: make(chan struct{}), count: readCount,
		log:  o.Log.With("app", node.App, "log", k.log),
		seen: make(map[string]*seen), kept: make(map[string]position),
		generation: newGeneration(), channels: make(map[string]*holding),
		since: time.Now(), why: errNotYet, wake: make(chan struct{}, 1),
	}
}

// queue needs p.mu.
func (p *partition) queue(o operation) {
	p.operations = append(p.operations, o)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// add queues an event for the log.
func (p *partition) add(e *protocol.Event, done func(error)) {
	p.enqueue(&addition{fields: eventFields(e), size: 256 + len(e.Channel) + len(e.Name) + len(e.Data), done: done})
}

// whisper queues a client event, which needs no answer.
func (p *partition) whisper(e *protocol.Event) {
	p.enqueue(&addition{fields: eventFields(e), size: 256 + len(e.Channel) + len(e.Name) + len(e.Data), event: e})
}

// tell queues an entry that is no event.
func (p *partition) tell(done func(error), fields ...any) {
	p.enqueue(&addition{fields: fields, size: 256, done: done})
}

// maxWaiting bounds what may wait for a Redis that is too slow, in bytes.
const maxWaiting = 64 << 20

// enqueue queues an entry. If too much waits already, it is as if Redis were away,
// but that a client event is lost.
func (p *partition) enqueue(a *addition) {
	p.mu.Lock()
	room := p.waiting+a.size <= maxWaiting
	if room {
		p.waiting += a.size
		p.queue(operation{add: a})
	}
	p.mu.Unlock()
	switch {
	case room:
	case a.done != nil:
		a.done(away(errors.New("it is too slow, and too much waits for it")))
	default:
		p.metrics.overflows.Inc()
	}
}

// state tells whether the partition is up, since when, and why not.
func (p *partition) state() (up bool, since time.Time, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up, p.since, p.why
}
