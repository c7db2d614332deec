package server_test

import (
	"testing"

	"broadcastd/internal/config"
)

// TestShutdownCloseCode sends clients away with the other code.
func TestShutdownCloseCode(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) { c.ShutdownCloseCode = 4100 })
	c := d.connect(t)
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop(within(t, patience)) }()
	c.wantClose(4100)
	_ = c.nc.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
