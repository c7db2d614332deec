package redisbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"broadcastd/protocol"
)

// publishScript is how Laravel publishes: one script for all channels of an
// event, the payload as the first argument.
const publishScript = `for i = 2, #ARGV do redis.call('publish', ARGV[i], ARGV[1]) end`

func publish(t *testing.T, client *redis.Client, payload string, channels ...string) {
	t.Helper()
	args := []any{payload}
	for _, channel := range channels {
		args = append(args, channel)
	}
	if err := client.Eval(context.Background(), publishScript, nil, args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("publish: %v", err)
	}
}

// delivery is an event as a bridge hands it out.
type delivery struct {
	app   string
	event protocol.Event
}

func (d delivery) String() string {
	return fmt.Sprintf("%s %s %s %s except %s", d.app, d.event.Channel, d.event.Name, d.event.Data, d.event.Except)
}

// running is a bridge that runs until the test ends.
type running struct {
	*Bridge
	t        *testing.T
	registry *prometheus.Registry
	log      lockedBuffer

	mu        sync.Mutex
	delivered []delivery
}

// start runs a bridge that is quick to notice and to try again.
func start(t *testing.T, opt Options) *running {
	t.Helper()
	r := &running{t: t, registry: prometheus.NewRegistry()}
	opt.Log = slog.New(slog.NewTextHandler(&r.log, nil))
	opt.Registerer = r.registry
	if opt.Publish == nil {
		opt.Publish = r.deliver
	}
	if opt.PingInterval == 0 {
		opt.PingInterval = 250 * time.Millisecond
	}
	opt.RetryMax = 50 * time.Millisecond
	bridge, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	r.Bridge = bridge
	bridge.skipped.every = 50 * time.Millisecond

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bridge.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if bridge.State().Up || r.metric("broadcastd_redis_up") != 0 {
			t.Error("still up after its end")
		}
		if t.Failed() {
			t.Logf("log of the bridge:\n%s", &r.log)
		}
	})
	return r
}

func (r *running) deliver(app string, e protocol.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivered = append(r.delivered, delivery{app, e})
	return nil
}

// events waits until there are n of them.
func (r *running) events(n int) []delivery {
	r.t.Helper()
	var events []delivery
	until(r.t, fmt.Sprintf("%d events", n), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		events = r.delivered
		return len(events) >= n
	})
	if len(events) > n {
		r.t.Fatalf("got %d events, want %d; the last is %s", len(events), n, events[len(events)-1])
	}
	return events
}

func (r *running) untilUp() {
	r.t.Helper()
	until(r.t, "subscription", func() bool { return r.State().Up })
}

// untilDown waits for a failure whose text has words in it.
func (r *running) untilDown(words string) {
	r.t.Helper()
	until(r.t, "failure with "+words, func() bool {
		state := r.State()
		return !state.Up && strings.Contains(state.Err, words)
	})
}

// untilLogged waits for a line with all words.
func (r *running) untilLogged(words ...string) {
	r.t.Helper()
	until(r.t, fmt.Sprintf("a line of the log with %q", words), func() bool { return r.logged(words...) > 0 })
}

// logged counts the lines with all words.
func (r *running) logged(words ...string) int {
	n := 0
lines:
	for line := range strings.Lines(r.log.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		n++
	}
	return n
}

// metric is the value of a metric by name, or by name and result.
func (r *running) metric(name string, result ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() != name || len(result) > 0 && metric.GetLabel()[0].GetValue() != result[0] {
				continue
			}
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	r.t.Fatalf("no metric %s %q", name, result)
	return 0
}

func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !reached(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func redisClient(t *testing.T, opt *redis.Options) *redis.Client {
	t.Helper()
	client := redis.NewClient(opt)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
