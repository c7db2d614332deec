package main

import (
	"math"
	"sync"
	"time"
)

// moment is a time since the soak began.
type moment = time.Duration

// never is the end of what hasn't ended.
const never moment = math.MaxInt64

type outcome string

const (
	accepted outcome = "accepted"
	refused  outcome = "refused" // whoever refused says that nobody gets it
	unknown  outcome = "unknown" // no answer, or one that says so
)

// The ways an event comes.
const (
	byHTTP    = "HTTP"
	byXADD    = "XADD"
	byPUBLISH = "PUBLISH"
	byClient  = "whisper"
)

// event is one that was published, to one channel or more. Those of one publisher
// are published one after the other.
type event struct {
	id        int32
	group     *group
	source    string
	publisher string
	channels  []string
	node      *node   // that was asked, if one was
	run       int     // of the node
	sender    *client // gets none
	life      int     // of the sender, in which that holds
	began     moment
	answered  moment
	outcome   outcome
}

// visit is a connection to a node.
type visit struct {
	node        *node
	run         int
	began       moment // to dial
	established moment // 0: never
	ended       moment
}

// journal is what the soak did to the nodes.
type journal struct {
	mu     sync.Mutex // guards the following
	events []*event
	visits []*visit
}

// publish notes an event before it is sent, and gives it an id.
func (j *journal) publish(e *event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.id, e.outcome, e.answered = int32(len(j.events)), unknown, never
	j.events = append(j.events, e)
}

// answer notes what became of an event.
func (j *journal) answer(e *event, at moment, o outcome) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.answered, e.outcome = at, o
}

func (j *journal) visit(n *node, run int, at moment) *visit {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := &visit{node: n, run: run, began: at, ended: never}
	j.visits = append(j.visits, v)
	return v
}

// note changes an entry.
func (j *journal) note(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
}
