package redisbridge

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/redistest"
)

func TestPing(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right", "--user", "reader", "on", ">pw", "+psubscribe")
	silent := listen(t)
	tests := map[string]struct{ url, want string }{
		"right password": {server.URLAs("default", "right"), ""},
		"may not ping":   {server.URLAs("reader", "pw"), ""},
		"wrong password": {server.URLAs("default", "hunter2"), "check the user and the password in redis.url"},
		"no password":    {server.URL(), "check the user and the password in redis.url"},
		"nobody there":   {"redis://127.0.0.1:1", "127.0.0.1:1"},
		"another server": {"redis://" + silent, silent},
		"no URL":         {"hunter2", "redis.url"},
	}
	for name, test := range tests {
		err := Ping(context.Background(), test.url)
		switch {
		case (err != nil) != (test.want != ""):
			t.Errorf("%s: got %v", name, err)
		case err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: got %q, want %q in it and no password", name, err, test.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		addr string
		want bool
	}{
		"redis":               {redistest.Start(t).Addr(), true},
		"redis with password": {redistest.Start(t, "--requirepass", "right").Addr(), true},
		"nobody there":        {"127.0.0.1:1", false},
		"another server":      {listen(t), false},
	}
	for name, test := range tests {
		if got := Answers(context.Background(), test.addr); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// listen starts a server that hangs up as if it were asked for nonsense.
func listen(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestEmbedded(t *testing.T) {
	url, stop, err := embedded("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if !Answers(context.Background(), strings.TrimPrefix(url, "redis://")) {
		t.Error("doesn't answer")
	}
	addr := strings.TrimPrefix(url, "redis://")
	client := redisClient(t, &redis.Options{Addr: addr})
	b := start(t, Options{URL: url, Sources: laravel})
	b.untilUp()
	for _, p := range readFixture[published](t, "redis-publish.json")[:20] {
		publish(t, client, p.Payload, p.Channel)
	}
	b.events(20)

	if _, _, err := embedded(addr); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("a second one on the same address: got %v", err)
	}
}

func TestAddress(t *testing.T) {
	for url, want := range map[string]string{
		"redis://u:hunter2@h:1/2":                             "h:1",
		"unix://:hunter2@/run/r.sock":                         "/run/r.sock",
		"redis://:hunter2@h:1?cluster=true&addr=i:2":          "h:1,i:2",
		"redis://:hunter2@h:1?master_name=m&password=hunter2": "m of h:1",
		"hunter2": "",
	} {
		if got := Address(url); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
