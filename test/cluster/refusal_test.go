package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadcastd/test/redistest"
)

// TestRedisRefuses has a Redis that answers, but does nothing: it is full, or has
// become a replica, or has got another password. Nodes say so, go on by what they
// know, and recover by themselves.
func TestRedisRefuses(t *testing.T) {
	const password, other = "the-right-password", "another-password"
	as := func(password string) func(*redis.Options) {
		return func(o *redis.Options) { o.Password = password }
	}
	set := func(client *redis.Client, name, value string) error {
		return client.ConfigSet(context.Background(), name, value).Err()
	}
	tests := []struct {
		name       string
		begin, end func(s *redistest.Server) error
		readiness  string
	}{
		{
			name:      "full",
			begin:     func(s *redistest.Server) error { return set(s.Client(as(password)), "maxmemory", "1") },
			end:       func(s *redistest.Server) error { return set(s.Client(as(password)), "maxmemory", "0") },
			readiness: "OOM",
		},
		{
			name: "a replica",
			begin: func(s *redistest.Server) error {
				host, port, err := net.SplitHostPort(s.Addr()) // of itself: it never finds a master
				return errors.Join(err, s.Client(as(password)).ReplicaOf(context.Background(), host, port).Err())
			},
			end: func(s *redistest.Server) error {
				return s.Client(as(password)).ReplicaOf(context.Background(), "no", "one").Err()
			},
			readiness: "READONLY",
		},
		{
			name: "another password",
			begin: func(s *redistest.Server) error {
				client := s.Client(as(password))
				return errors.Join(set(client, "requirepass", other),
					s.Client(as(other)).Do(context.Background(), "client", "kill", "type", "normal").Err())
			},
			end:       func(s *redistest.Server) error { return set(s.Client(as(other)), "requirepass", password) },
			readiness: "WRONGPASS",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--requirepass", password)
			o := nodeOptions{redis: server.URLAs("", password)}
			a, b := newNode(t, "a", o), newNode(t, "b", o)
			ann, bob := newClient(t, a, "ann", "ann", nil), newClient(t, b, "bob", "bob", nil)
			ann.join("presence-room")
			bob.join("presence-room")
			m := modelOf([]*client{ann, bob})
			for _, c := range []*client{ann, bob} {
				eventually(t, "joining", func() error { return m.told(c) })
			}

			if err := test.begin(server); err != nil {
				t.Fatal(err)
			}
			for _, n := range []*node{a, b} {
				eventually(t, "node "+n.name+" says why", func() error {
					text, err := n.readiness()
					if err == nil && (!strings.Contains(text, test.readiness) || !n.logged(test.readiness)) {
						err = fmt.Errorf("readiness is %s", text)
					}
					return err
				})
			}
			if status, err := a.publish("refused", "presence-room"); status != http.StatusServiceUnavailable {
				t.Errorf("publishing came to %d, %v", status, err)
			}
			cid := newClient(t, a, "cid", "cid", nil)
			cid.join("presence-room")
			eventually(t, "joining by what the node knows", cid.settled)

			if err := test.end(server); err != nil {
				t.Fatal(err)
			}
			clients := []*client{ann, bob, cid}
			m = modelOf(clients)
			for _, c := range clients {
				eventually(t, "all are there again", func() error { return m.told(c) })
			}
			for _, n := range []*node{a, b} {
				eventually(t, "node "+n.name+" is ready", func() error {
					text, err := n.readiness()
					if err == nil && !strings.Contains(text, `"ready"`) {
						err = fmt.Errorf("it says %s", text)
					}
					return err
				})
				eventually(t, "the API", func() error { return m.api(n) })
				if n.logged(password) {
					t.Errorf("node %s logged the password", n.name)
				}
			}
			if status, err := b.publish("kept", "presence-room"); status != http.StatusOK {
				t.Errorf("publishing came to %d, %v", status, err)
			}
			for _, c := range clients {
				eventually(t, "the event for "+c.name, func() error {
					if events, _, _ := c.events("presence-room"); len(events) != 1 || events[0] != "kept" {
						return fmt.Errorf("it got %q", events)
					}
					return nil
				})
				if _, life, _ := c.events("presence-room"); life != 1 {
					t.Errorf("client %s was disconnected", c.name)
				}
			}
		})
	}
}
