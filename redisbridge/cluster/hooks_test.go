package cluster

import (
	"slices"
	"testing"

	"broadcastd/protocol"
)

func TestOneNodeTellsWebhooks(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{hooks: true, counts: true}), startNode(t, redis.URL(), nodeOptions{hooks: true, counts: true})
	ann, bob := a.client(), b.client()
	must(t, bob.join(room, "bob"))
	must(t, ann.join(room, "ann"))
	must(t, ann.join("jobs", ""))
	must(t, bob.join("jobs", ""))
	b.app.Whisper(&protocol.Event{Channel: room, Name: "client-hello", Data: []byte(`1`), Except: bob.id})
	b.app.CacheMissed("cache-x")
	bob.leave(room)
	ann.leave(room)
	want := []string{
		"occupied presence-room", "added presence-room bob", "added presence-room ann",
		"occupied jobs", "count jobs 1", "count jobs 2", "client presence-room client-hello", "missed cache-x",
		"removed presence-room bob", "removed presence-room ann", "vacated presence-room",
	}
	told := func() []string { return append(a.hooks.list(), b.hooks.list()...) }
	eventually(t, "all webhooks", func() bool { return len(told()) >= len(want) })
	if got := told(); !sameSet(got, want) {
		t.Errorf("webhooks were told\n%q, want\n%q", got, want)
	}
	if len(a.hooks.list()) != 0 && len(b.hooks.list()) != 0 {
		t.Error("two nodes told webhooks")
	}
	eventually(t, "the count", ann.hears(`{\"subscription_count\":2}`))
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func TestASuccessorTellsWhatWasNotTold(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{hooks: true})
	b := startNode(t, redis.URL(), nodeOptions{hooks: true})
	must(t, b.client().join("one", ""))
	eventually(t, "the keeper tells", func() bool { return len(a.hooks.list()) == 1 })
	eventually(t, "a checkpoint", func() bool {
		told, err := redis.Client().Get(t.Context(), "test:{app:0}:hooks").Result()
		last, lastErr := redis.Client().XRevRangeN(t.Context(), "test:{app:0}:log", "+", "-", 1).Result()
		return err == nil && lastErr == nil && told == last[0].ID
	})
	a.hooks.mu.Lock()
	a.hooks.holds = true // the receiver doesn't answer
	a.hooks.mu.Unlock()
	must(t, b.client().join("two", ""))
	eventually(t, "the keeper tells, unheard", func() bool { return len(a.hooks.list()) == 2 })
	a.stop()
	eventually(t, "the successor tells", func() bool { return slices.Contains(b.hooks.list(), "occupied two") })
	if slices.Contains(b.hooks.list(), "occupied one") {
		t.Error("what was told long ago was told again")
	}
}
