package cluster

import (
	"slices"
	"strings"
	"testing"

	"broadcastd/channels"
	"broadcastd/protocol"
)

// held takes what is to be declared of a channel as the writer would, so that a
// test decides when the answer comes. before is what happens in the channel.
func (p *partition) held(name string, before func()) []change {
	p.mu.Lock()
	p.holdingOf(name).queued = true // which keeps the writer from it
	p.mu.Unlock()
	before()
	p.mu.Lock()
	defer p.mu.Unlock()
	return []change{p.declaration(p.channels[name])}
}

// send gives a declaration to Redis. The function that it returns has the node
// hear the answer.
func (p *partition) send(t *testing.T, changes []change) func() error {
	t.Helper()
	generation := p.generationNow()
	names, args := p.declareArgs(generation, false, changes)
	cmd := declareScript.Run(t.Context(), p.client, names, args...)
	must(t, cmd.Err())
	return func() error { return p.declared(cmd, generation, changes) }
}

func TestAnAnswerThatIsOlderThanWhatWasRead(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	bob := b.client()
	must(t, bob.join(room, "bob"))
	p := a.cluster.partitions[0]
	roster := make(chan string, 1)
	answer := p.send(t, p.held(room, func() {
		p.join(room, &protocol.Member{UserID: "ann"}, func(r []byte, _ error) { roster <- string(r) })
	}))
	must(t, b.client().join(room, "cid"))
	bob.leave(room)
	must(t, b.app.(*app).partitions[0].catchUp(t.Context()))
	must(t, p.catchUp(t.Context()))
	must(t, answer())
	if got := <-roster; strings.Contains(got, "bob") || !strings.Contains(got, "ann") || !strings.Contains(got, "cid") {
		t.Errorf("the roster of ann and cid is %s", got)
	}
}

func TestALookThatIsOlderThanWhatWasRead(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	p := a.cluster.partitions[0]
	answer := make(chan []bool, 1)
	pipe := p.client.Pipeline()
	s := p.lookStep(t.Context(), pipe, &look{names: []string{userName("bob")}, then: func(online []bool) { answer <- online }})
	if _, err := pipe.Exec(t.Context()); err != nil {
		s.script.SetVal(s.again(t.Context()).Val())
		s.script.SetErr(nil)
	}
	b.app.SignIn("bob")
	must(t, b.cluster.partitions[0].catchUp(t.Context()))
	must(t, p.catchUp(t.Context()))
	must(t, s.answer())
	if got := <-answer; !slices.Equal(got, []bool{true}) {
		t.Errorf("a user who came after the answer, and before it was heard, is %v", got)
	}
}

func TestAHoldingStaysWhileItIsDeclared(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	p := a.cluster.partitions[0]
	first := a.client()
	must(t, first.join("jobs", ""))
	left := p.held("jobs", func() { first.leave("jobs") })
	leftAgain := p.held("jobs", func() { p.join("jobs", nil, nil).Leave() })
	answerLeft := p.send(t, left)
	answerAgain := p.send(t, leftAgain)
	must(t, answerLeft())
	must(t, a.client().join("jobs", ""))
	must(t, answerAgain())
	must(t, a.client().join("jobs", ""))
	info, err := a.app.Info(t.Context(), "jobs")
	if err != nil || info.Subscriptions != 2 {
		t.Errorf("two subscribers are %+v, %v", info, err)
	}
}

func TestWhatIsAnsweredAloneAsRedisComesBack(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	p := a.cluster.partitions[0]
	// Redis was away when the writer took it, and has come back since.
	p.mu.Lock()
	h := p.holdingOf("jobs")
	h.queued = true
	p.mu.Unlock()
	p.join("jobs", nil, nil)
	p.answerAlone([]operation{{channel: h}}, channels.ErrAway)
	eventually(t, "it is declared", func() bool {
		info, err := a.app.Info(t.Context(), "jobs")
		return err == nil && info.Subscriptions == 1
	})
}
