package cluster

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"broadcastd/channels"
	"broadcastd/protocol"
)

func TestSeen(t *testing.T) {
	var s seen
	for _, step := range []struct {
		number uint64
		isNew  bool
	}{
		{1, true},
		{1, false},
		{5, true},
		{3, true}, // added once more after 5
		{3, false},
		{4, true},
		{seenLength + 4, true},
		{4, false}, // too old
		{seenLength + 3, true},
		{6, true}, // of those in between none has come
		{9 * seenLength, true},
		{9 * seenLength, false},
		{8*seenLength + 1, true},
		{8 * seenLength, false},
	} {
		if got := s.see(step.number); got != step.isNew {
			t.Errorf("%d is new: %v", step.number, got)
		}
	}
}

func TestSeenIsBounded(t *testing.T) {
	p := startNode(t, startRedis(t).URL(), nodeOptions{}).cluster.partitions[0]
	p.turn.Lock()
	defer p.turn.Unlock()
	for i := range 2 * uint64(maxSeen) {
		p.at = position{i, 0}
		p.see(newGeneration(), 1)
	}
	if n := len(p.seen); n != maxSeen {
		t.Errorf("numbers of %d nodes are remembered", n)
	}
}

func TestAWhisperWhoseAnswerIsLost(t *testing.T) {
	a := startNode(t, startRedis(t).URL(), nodeOptions{})
	c := a.client()
	must(t, c.join(room, "ann"))
	p := a.cluster.partitions[0]
	whisper := &protocol.Event{Channel: room, Name: "client-hello", Data: []byte("1")}
	sent := &addition{fields: eventFields(whisper), event: whisper}
	pipe := p.client.Pipeline()
	s := p.latestSession().addStep(t.Context(), pipe, sent)
	_, err := pipe.Exec(t.Context())
	must(t, err)
	eventually(t, "it is read", c.hears("client-hello"))
	s.failed(errors.New("the connection broke"))
	must(t, a.publish(room, "end", "x", 0))
	eventually(t, "the end", c.hears("end"))
	if n := c.count("client-hello"); n != 1 {
		t.Errorf("it was delivered %d times", n)
	}
}

func TestWhatARedisHadLostComesBehindWhatFollowed(t *testing.T) {
	redis := startRedis(t)
	a, b := startNode(t, redis.URL(), nodeOptions{}), startNode(t, redis.URL(), nodeOptions{})
	c := b.client()
	must(t, c.join("jobs", ""))
	generation := a.cluster.partitions[0].generationNow()
	for _, number := range []string{"1", "3", "2", "2"} {
		adds(t, b, "channel", "jobs", "event", "e"+number, "raw", "1", "from", generation+":"+number)
	}
	adds(t, b, "type", typeTerminate, "user", "ann", "from", generation+":4")
	adds(t, b, "type", typeTerminate, "user", "ann", "from", generation+":4")
	adds(t, b, "channel", "jobs", "event", "end", "raw", "1", "from", generation+":5")
	eventually(t, "the end", c.hears("end"))
	for _, name := range []string{"e1", "e2", "e3"} {
		if n := c.count(name); n != 1 {
			t.Errorf("%s came %d times", name, n)
		}
	}
	if n := len(b.terminated); n != 1 {
		t.Errorf("a user was told to go %d times", n)
	}
}

func TestWhatWasCutOffIsNotAddedOnceMore(t *testing.T) {
	a := startNode(t, startRedis(t).URL(), nodeOptions{logLength: 1})
	for range 3 {
		must(t, a.publish("jobs", "e", "x", 0))
	}
	p := a.cluster.partitions[0]
	must(t, p.client.XTrimMaxLen(t.Context(), p.keys.log, 1).Err())
	must(t, p.latestSession().repeat(t.Context()))
	if n, err := p.client.XLen(t.Context(), p.keys.log).Result(); err != nil || n != 1 {
		t.Errorf("the log has %d entries, %v", n, err)
	}
}

func TestAFlushIsBounded(t *testing.T) {
	p := newPartition(&Cluster{options: Options{Log: slog.New(slog.DiscardHandler)}}, channels.Node{}, 0)
	for range 5 {
		p.add(&protocol.Event{Data: make([]byte, maxFlush/2)}, nil)
	}
	for _, want := range []int{2, 2, 1, 0} {
		if _, operations := p.take(); len(operations) != want {
			t.Errorf("%d events are sent at once, want %d", len(operations), want)
		}
	}
}

func TestWhatAnEmptiedRedisHasLostIsAddedOnceMore(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	b := startNode(t, redis.URL(), nodeOptions{})
	c := b.client()
	must(t, c.join("jobs", ""))
	p := b.cluster.partitions[0]
	p.turn.Lock() // b doesn't come to read
	must(t, a.publish("jobs", "kept and lost", "x", 0))
	redis.Kill()
	redis.Restart()
	must(t, redis.Client().XAdd(t.Context(), &goredis.XAddArgs{ // so that the log begins later
		Stream: p.keys.log, Values: []any{"channel", "jobs", "event", "other", "data", "1"},
	}).Err())
	p.turn.Unlock()
	eventually(t, "the event that its Redis has lost", c.hears("kept and lost"))
	if n := c.count("kept and lost"); n != 1 {
		t.Errorf("it came %d times", n)
	}
}

func TestTooMuchWaits(t *testing.T) {
	p := newPartition(&Cluster{options: Options{Log: slog.New(slog.DiscardHandler)}}, channels.Node{}, 0)
	reg := prometheus.NewRegistry()
	m, err := newMetrics(reg, func() bool { return true })
	must(t, err)
	p.metrics = m
	large := &protocol.Event{Data: make([]byte, maxWaiting/2)}
	answers := make(chan error, 2)
	for range 2 {
		p.add(large, func(err error) { answers <- err })
	}
	if err := <-answers; !errors.Is(err, channels.ErrAway) || len(answers) > 0 {
		t.Errorf("of two events the one that has no room is answered %v", err)
	}
	p.take()
	p.whisper(large)
	if p.whisper(large); len(p.operations) != 1 || valueOf(t, reg, "broadcastd_log_overflows_total") != 1 {
		t.Errorf("%d whispers wait", len(p.operations))
	}
}

func valueOf(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() // it has one of them
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
