package cluster

import (
	"net"
	"testing"

	"broadcastd/redisbridge"
)

func TestNotSent(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: net.ErrClosed}
	for _, test := range []struct {
		url  string
		err  error
		want bool
	}{
		{"redis://127.0.0.1:1", refused, true},
		{"redis://127.0.0.1:1", &net.OpError{Op: "read", Err: net.ErrClosed}, false},
		{"redis://127.0.0.1:1?cluster=true", refused, false}, // the last of several tries
	} {
		client, err := redisbridge.NewClient(test.url, 1)
		must(t, err)
		if got := notSent(client, test.err); got != test.want {
			t.Errorf("%s, %v: not sent is %v", test.url, test.err, got)
		}
		must(t, client.Close())
	}
}
