package webhook

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A batch is what one request carries: what came within batchTime, and no more
// than maxBatch events and about maxBatchSize bytes, which even doubled by
// JSON's escapes pass through proxies that let 1 MiB through.
const (
	batchTime    = 50 * time.Millisecond
	maxBatch     = 100
	maxBatchSize = 256 << 10
)

// queue holds a hook's events until they are taken, in order and within a
// bound on memory. When it is full, new events are lost.
type queue struct {
	max   int              // bytes
	gauge prometheus.Gauge // shows how many events are waiting
	// wake gets a token when a first event came in, and when a batch is full.
	wake chan struct{}

	mu     sync.Mutex // guards the following
	events []event
	size   int // bytes
	lost   int // events, since lostSince was asked
}

func newQueue(max int, gauge prometheus.Gauge) *queue {
	return &queue{max: max, gauge: gauge, wake: make(chan struct{}, 1)}
}

// push reports whether there was room.
func (q *queue) push(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size+e.cost() > q.max {
		q.lost++
		return false
	}
	q.events = append(q.events, e)
	q.size += e.cost()
	q.gauge.Inc()
	if len(q.events) == 1 || q.full() {
		select {
		case q.wake <- struct{}{}:
		default: // a token is there already
		}
	}
	return true
}

// full reports whether there is a whole batch. It needs q.mu.
func (q *queue) full() bool { return len(q.events) >= maxBatch || q.size >= maxBatchSize }

// due tells how long to wait until a batch should be sent, 0 when it should be
// now; ok is false when nothing is there.
func (q *queue) due(now time.Time) (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.events) == 0:
		return 0, false
	case q.full():
		return 0, true
	}
	return max(0, q.events[0].at.Add(batchTime).Sub(now)), true
}

// take removes the next batch, which is empty only when the queue is.
func (q *queue) take() []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.events) && n < maxBatch && (n == 0 || size+q.events[n].cost() <= maxBatchSize) {
		size += q.events[n].cost()
		n++
	}
	batch := slices.Clone(q.events[:n])
	clear(q.events[:n])
	q.events = q.events[n:]
	q.size -= size
	q.gauge.Sub(float64(n))
	return batch
}

// lostSince tells how many events found no room since it was last asked.
func (q *queue) lostSince() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.lost
	q.lost = 0
	return n
}
