package cluster

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"broadcastd/channels"
	"broadcastd/protocol"
	"broadcastd/redisbridge"
	"broadcastd/test/redistest"
)

// permissions are the commands that docs/scaling.md says that a node's user of
// Redis needs.
func permissions(t *testing.T) []string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/scaling.md")
	must(t, err)
	_, text, _ := strings.Cut(string(doc), "ACL SETUSER")
	text, _, _ = strings.Cut(text, "```")
	return regexp.MustCompile(`\+\w+`).FindAllString(text, -1)
}

// TestAUserThatMayLittle does all that a cluster does as a user with the
// permissions that the documentation names.
func TestAUserThatMayLittle(t *testing.T) {
	redis := redistest.Start(t, append([]string{"--user", "node", "on", ">hunter2", "~test:*"}, permissions(t)...)...)
	url := redis.URLAs("node", "hunter2")
	o := nodeOptions{hooks: true, counts: true, maxMembers: 2}
	a, b := startNode(t, url, o), startNode(t, url, o)
	ann, bob := a.client(), b.client()
	must(t, ann.join(room, "ann"))
	must(t, bob.join(room, "bob"))
	must(t, bob.join("jobs", ""))
	must(t, bob.join("cache-x", ""))
	must(t, a.publish("cache-x", "e", "x", 0))
	eventually(t, "an event", bob.hears(`"e"`))
	b.app.Whisper(&protocol.Event{Channel: room, Name: "client-hello", Data: []byte(`1`), Except: bob.id})
	eventually(t, "a whisper", ann.hears("client-hello"))
	a.app.SignIn("ann")
	b.app.Online([]string{"ann"}, func(_, _ []string) {})
	must(t, a.app.Terminate(t.Context(), "zoe"))
	for _, ask := range []func() error{
		func() error { _, err := a.app.Info(t.Context(), room); return err },
		func() error { _, err := a.app.Occupied(t.Context(), "presence-"); return err },
		func() error { _, err := a.app.Users(t.Context(), room); return err },
		func() error { _, err := a.app.Connections(t.Context()); return err },
		func() error { return redisbridge.Ping(t.Context(), url) },
		func() error {
			nodes, err := Nodes(t.Context(), a.cluster.client, "test:", "app")
			if len(nodes) != 2 {
				t.Errorf("%d nodes", len(nodes))
			}
			return err
		},
	} {
		must(t, ask())
	}
	bob.leave(room)
	eventually(t, "member_removed", ann.hears("member_removed"))
	b.stop() // and is cleaned up after
	eventually(t, "one channel", func() bool {
		all, err := a.app.Occupied(t.Context(), "")
		return err == nil && len(all) == 1
	})
	must(t, startNode(t, url, o).client().join("cache-x", "")) // which loads what is kept
	a.leave()

	lone := listenAlone(t, url)
	must(t, redis.Client().Do(t.Context(), "XADD", "test:{app:0}:log", "*", "channel", "jobs", "event", "alone", "data", "1").Err())
	for name := ""; name != "alone"; name = <-lone.events {
	}
	must(t, lone.cluster.Close(t.Context()))

	refused, err := redis.Client().ACLLog(t.Context(), 20).Result()
	must(t, err)
	for _, r := range refused {
		t.Errorf("%s was refused, for %s, %d times", r.Object, r.Reason, r.Count)
	}
}

func TestARefusedQuestion(t *testing.T) {
	redis := redistest.Start(t, append([]string{"--user", "node", "on", ">hunter2", "~test:*"}, append(permissions(t), "-hkeys")...)...)
	a := startNode(t, redis.URLAs("node", "hunter2"), nodeOptions{})
	if _, err := a.app.Users(t.Context(), room); err == nil || errors.Is(err, channels.ErrAway) {
		t.Errorf("Redis isn't away, but doesn't allow it; the error is %v", err)
	}
}
