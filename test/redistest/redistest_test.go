package redistest_test

import (
	"context"
	"testing"
	"time"

	"broadcastd/test/redistest"
)

func TestServer(t *testing.T) {
	ctx := context.Background()
	server := redistest.Start(t)
	client := server.Client()
	if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatalf("started: %v", err)
	}

	server.Freeze()
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- client.Get(ctx, "k").Err() }()
	select {
	case err := <-answered:
		t.Errorf("frozen: got an answer, %v", err)
	case <-short.Done():
	}
	server.Thaw()
	if err := <-answered; err != nil {
		t.Errorf("thawed: %v", err)
	}

	server.Kill()
	if err := client.Ping(ctx).Err(); err == nil {
		t.Error("killed: got an answer")
	}

	server.Restart()
	if n, err := client.Exists(ctx, "k").Result(); n != 0 || err != nil {
		t.Errorf("restarted: got %d keys and %v, want none", n, err)
	}
}
