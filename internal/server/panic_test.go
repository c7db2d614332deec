package server_test

import (
	"testing"

	"broadcastd/internal/config"
)

// TestPanicEndsOneConnection breaks one app from within: the client whose
// message meets the bug is told, and everybody else goes on.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	d := start(t, func(c *config.Config) {
		other := c.App
		other.ID, other.Key = "broken", "broken-key"
		c.Apps = append(c.Apps, other)
	})
	d.Break("broken")
	d.panics = true
	witness := d.connect(t)
	witness.subscribe("jobs")

	c := d.open(t, "/app/broken-key?protocol=7")
	c.wantEstablished()
	c.send(`{"event":"pusher:subscribe","data":{"channel":"jobs"}}`)
	c.wantClose(1011)
	d.waitMetric(t, `broadcastd_disconnections_total{reason="internal_error"}`, 1)

	d.publish(t, "jobs", "e", "{}")
	witness.wantEvent("jobs", "e", "{}")
}
