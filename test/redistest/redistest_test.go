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

func TestSentinels(t *testing.T) {
	ctx := context.Background()
	s := redistest.StartSentinels(t)
	first := s.Master()
	if err := first.Client().Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := first.Client().Wait(ctx, 2, 10*time.Second).Result(); n != 2 {
		t.Fatalf("%d replicas have the key, want 2, err %v", n, err)
	}

	if killed := s.KillMaster(); killed != first {
		t.Errorf("killed %s, want %s", killed.Addr(), first.Addr())
	}
	s.WaitReady()
	second := s.Master()
	if v, err := second.Client().Get(ctx, "k").Result(); second == first || v != "v" {
		t.Errorf("%s has %q, err %v", second.Addr(), v, err)
	}

	first.Restart()
	s.WaitReady()
	if v, err := first.Client().Get(ctx, "k").Result(); v != "v" {
		t.Errorf("restarted, as a replica: got %q, err %v", v, err)
	}

	s.FreezeMaster()
	s.WaitReady()
	second.Thaw()
	s.WaitReady()
	if third := s.Master(); third == second {
		t.Errorf("the frozen one, %s, is still the master", second.Addr())
	}
}

func TestCluster(t *testing.T) {
	ctx := context.Background()
	c := redistest.StartCluster(t)
	client := c.Client()
	first := c.MasterOf("k")
	if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := first.Client().Wait(ctx, 1, 10*time.Second).Result(); n != 1 {
		t.Fatalf("%d replicas have the key, want 1, err %v", n, err)
	}
	if n := first.Client().DBSize(ctx).Val(); n != 1 {
		t.Errorf("the key's master has %d keys", n)
	}

	if killed := c.KillMasterOf("k"); killed != first {
		t.Errorf("killed %s, want %s", killed.Addr(), first.Addr())
	}
	c.WaitReady()
	second := c.MasterOf("k")
	if v, err := second.Client().Get(ctx, "k").Result(); second == first || v != "v" {
		t.Errorf("%s has %q, err %v", second.Addr(), v, err)
	}

	first.Restart()
	c.WaitReady()

	c.FreezeMasterOf("k")
	c.WaitReady()
	second.Thaw()
	c.WaitReady()
	if third := c.MasterOf("k"); third != first {
		t.Errorf("%s is the master, want %s, the only replica", third.Addr(), first.Addr())
	}
}
