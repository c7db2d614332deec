package cluster

import (
	"testing"
	"time"
)

func TestALeaseIsRenewedWhileTheKeeperWorks(t *testing.T) {
	a := startNode(t, startRedis(t).URL(), nodeOptions{lease: 500 * time.Millisecond})
	p := a.cluster.partitions[0]
	score := func() float64 {
		ms, err := p.client.ZScore(t.Context(), p.keys.nodes, p.generationNow()).Result()
		must(t, err)
		return ms
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	before := score()
	eventually(t, "a lease that is longer by two", func() bool { return score() > before+1000 })
}

func TestOnlyWhatIsNotDoneIsRemembered(t *testing.T) {
	hooks := &fakeHooks{holds: true}
	k := &keeper{hooks: hooks}
	k.tell(&entry{id: position{1, 0}, kind: typeOccupied, channel: "one"})
	hooks.holds = false
	for i := range uint64(100) {
		k.tell(&entry{id: position{2, i}, kind: typeOccupied, channel: "others"})
	}
	if n := len(k.open); n != 1 {
		t.Errorf("%d receipts are kept", n)
	}
	if told := k.checkpoint(position{3, 0}); told != (position{}) {
		t.Errorf("the checkpoint is %s, behind what isn't done", told)
	}
	hooks.open[0]()
	if told := k.checkpoint(position{3, 0}); told != (position{3, 0}) {
		t.Errorf("the checkpoint is %s when all is done", told)
	}
}

func TestWhoWasCleanedUpAfterIsNotTheKeeper(t *testing.T) {
	a := startNode(t, startRedis(t).URL(), nodeOptions{hooks: true})
	p := a.cluster.partitions[0]
	is := func() bool { p.turn.Lock(); defer p.turn.Unlock(); return p.keeper != nil }
	eventually(t, "the node is the keeper", is)
	if p.stays(beat{keeper: true, generation: newGeneration()}) {
		t.Error("under a new generation it is the keeper still, and others may have been it meanwhile")
	}
	must(t, a.client().join("jobs", ""))
	eventually(t, "it is it again, and tells", func() bool { return is() && len(a.hooks.list()) == 1 })
}
