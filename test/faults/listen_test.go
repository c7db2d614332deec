package faults_test

import (
	"fmt"
	"net"
	"testing"

	"broadcastd/test/daemon"
)

// listenAt listens where somebody did before.
func listenAt(t *testing.T, addr string) (l net.Listener) {
	t.Helper()
	daemon.Eventually(t, "listening at "+addr, func() (err error) {
		if l, err = net.Listen("tcp", addr); err != nil {
			err = fmt.Errorf("listening: %w", err)
		}
		return err
	})
	return l
}
