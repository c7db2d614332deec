package redisbridge

import (
	"context"
	"errors"
	"testing"

	"broadcastd/test/redistest"
)

func TestAConnectionIsNeverMadeAnew(t *testing.T) {
	redis := redistest.Start(t)
	client, err := NewClient(redis.URL(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server, err := Locate(ctx, redis.URL(), client, "key")
	if err != nil {
		t.Fatal(err)
	}
	first, err := server.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	second, err := server.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	redis.Kill()
	redis.Restart()
	until(t, "the error of a broken connection", func() bool {
		err := first.Ping(t.Context()).Err()
		if err == nil {
			t.Fatal("another server answered, or the same that was started anew")
		}
		return errors.Is(err, ErrBroken)
	})
	if err := server.Replaced(ctx); err != nil {
		t.Errorf("without Sentinels it was replaced: %v", err)
	}

	third, err := server.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	cancel()
	until(t, "the connection's end with its context", func() bool { return third.Ping(t.Context()).Err() != nil })
}
