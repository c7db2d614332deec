package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
	"broadcastd/protocol"
)

func TestAnAPIAddsToTheLog(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{})
	c := a.client()
	must(t, c.join("jobs", ""))
	add := func(fields ...string) {
		t.Helper()
		must(t, redis.Client().Do(context.Background(), append([]any{"XADD", "test:{app:0}:log", "*"}, anys(fields)...)...).Err())
	}
	add("channel", "jobs", "event", "job.posted", "data", `{"id":1}`)
	add("channel", "jobs", "event", "job.posted", "data", `{"id":2}`, "socket", c.id.String())
	add("channel", "no such name!", "event", "e", "data", "1")
	add("nonsense", "")
	add("channel", "jobs", "event", "end", "data", "1")
	eventually(t, "the end", c.hears(`"end"`))
	want := []string{`{"event":"job.posted","channel":"jobs","data":"{\"id\":1}"}`, `{"event":"end","channel":"jobs","data":"1"}`}
	if got := c.heard()[1:]; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	a.leave()
	// While no node runs, the log keeps.
	add("channel", "cache-jobs", "event", "meanwhile", "data", "1")
	d := startNode(t, redis.URL(), nodeOptions{}).client()
	must(t, d.join("cache-jobs", ""))
	eventually(t, "what was added meanwhile", d.hears("meanwhile"))
}

func anys(texts []string) (all []any) {
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

func TestAGapIsTold(t *testing.T) {
	redis := startRedis(t)
	a := startNode(t, redis.URL(), nodeOptions{logLength: 1})
	b := startNode(t, redis.URL(), nodeOptions{logLength: 1})
	c := b.client()
	must(t, c.join("jobs", ""))
	must(t, a.publish("jobs", "first", "x", 0))
	eventually(t, "the first event", c.hears("first"))
	p := b.cluster.partitions[0]
	p.turn.Lock() // b doesn't come to read
	for i := range 5 {
		must(t, a.publish("jobs", fmt.Sprint("missed", i), "x", 0))
	}
	must(t, redis.Client().XTrimMaxLen(t.Context(), p.keys.log, 1).Err())
	p.setDown(errors.New("cut off by the test"))
	p.turn.Unlock()
	eventually(t, "the gap is told", func() bool { return b.cluster.State() == nil && b.cluster.Losses() != nil })
}

func TestALogForANodeByItself(t *testing.T) {
	redis := startRedis(t)
	add := func(name string) {
		t.Helper()
		must(t, redis.Client().Do(context.Background(), "XADD", "test:{app:0}:log", "*", "channel", "jobs", "event", name, "data", "1").Err())
	}
	add("before the first start")
	first := listenAlone(t, redis.URL())
	add("while it runs")
	first.hears(t, "before the first start", "while it runs")
	must(t, first.cluster.Close(t.Context()))
	first.stop()
	add("while nothing runs")
	second := listenAlone(t, redis.URL())
	second.hears(t, "while nothing runs")
	redis.Kill()
	eventually(t, "Redis is away", func() bool { return second.cluster.State() != nil })
	redis.Restart()
	add("in a new Redis")
	second.hears(t, "in a new Redis")
}

type lone struct {
	cluster *Cluster
	events  chan string
	stop    func()
}

func listenAlone(t *testing.T, url string) *lone {
	t.Helper()
	c, err := New(Options{URL: url, Prefix: "test:", Partitions: 1, Apps: 1, LogLength: 1000,
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Registerer: prometheus.NewRegistry()})
	must(t, err)
	l := &lone{cluster: c, events: make(chan string, 10)}
	c.Listen(channels.Node{App: "app", Deliver: func(e *protocol.Event, fresh bool) {
		if !fresh {
			t.Error("an API's event isn't fresh")
		}
		l.events <- e.Name
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	l.stop = func() { cancel(); <-ended }
	t.Cleanup(l.stop)
	return l
}

func (l *lone) hears(t *testing.T, names ...string) {
	t.Helper()
	for _, want := range names {
		select {
		case got := <-l.events:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("%q never came", want)
		}
	}
}
