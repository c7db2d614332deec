package cluster

import (
	"context"
	"runtime"
	"testing"
	"time"

	"broadcastd/protocol"
	"broadcastd/test/redistest"
)

// TestNothingIsLeftOfANode: whatever Redis does while a node ends, no goroutine of
// it stays.
func TestNothingIsLeftOfANode(t *testing.T) {
	for _, test := range []struct {
		name  string
		clean bool // the node can tell Redis that it leaves
		do    func(*redistest.Server)
	}{
		{"Redis is there", true, func(*redistest.Server) {}},
		{"Redis is away", false, (*redistest.Server).Kill},
		{"Redis is frozen", false, (*redistest.Server).Freeze},
	} {
		t.Run(test.name, func(t *testing.T) {
			redis := startRedis(t)
			before := runtime.NumGoroutine()
			a := startNode(t, redis.URL(), nodeOptions{partitions: 3, hooks: true, counts: true})
			c := a.client()
			must(t, c.join(room, "ann"))
			a.app.SignIn("ann")
			test.do(redis)
			must(t, a.client().join("jobs", "")) // by Redis or by what the node knows
			for range 100 {
				c.leave(room)
				a.app.Whisper(&protocol.Event{Channel: room, Name: "client-x", Data: []byte("1")})
				must(t, c.join(room, "ann"))
			}
			// While it waits for Redis, if that is frozen.
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if test.clean {
				ctx = context.WithoutCancel(ctx)
			}
			a.app.Whisper(&protocol.Event{Channel: room, Name: "client-x", Data: []byte("1")})
			if err := a.cluster.Close(ctx); (err == nil) != test.clean {
				t.Errorf("Close returned %v", err)
			}
			eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// TestNothingIsLeftOfSentinelsClient: it has goroutines of its own.
func TestNothingIsLeftOfSentinelsClient(t *testing.T) {
	url := redistest.StartSentinels(t).URL()
	before := runtime.NumGoroutine()
	a := startNode(t, url, nodeOptions{})
	must(t, a.client().join("jobs", ""))
	a.leave()
	eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
}

func TestNothingIsLeftOfALogByItself(t *testing.T) {
	redis := startRedis(t)
	before := runtime.NumGoroutine()
	lone := listenAlone(t, redis.URL())
	eventually(t, "it reads", func() bool { return lone.cluster.State() == nil })
	redis.Freeze()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // there is no time left
	if err := lone.cluster.Close(ctx); err == nil {
		t.Error("Close took the position to a Redis that is frozen")
	}
	eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
}
