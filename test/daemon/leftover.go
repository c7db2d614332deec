package daemon

import "fmt"

// Leftover is what a daemon holds at a time.
type Leftover struct{ goroutines, descriptors float64 }

// slack is what may differ without anything having been left behind: connections
// that are kept for the next call, and the scrape itself.
const slack = 4

// Holds tells what the daemon holds now.
func (d *Daemon) Holds() Leftover {
	d.t.Helper()
	return Leftover{d.Metric("go_goroutines"), d.Metric("process_open_fds")}
}

// WantNoMore waits until the daemon holds no more than before.
func (d *Daemon) WantNoMore(before Leftover) {
	d.t.Helper()
	Eventually(d.t, "nothing is left behind", func() error {
		now := d.Holds()
		if now.goroutines > before.goroutines+slack || now.descriptors > before.descriptors+slack {
			return fmt.Errorf("%v goroutines and %v descriptors, before it were %v and %v",
				now.goroutines, now.descriptors, before.goroutines, before.descriptors)
		}
		return nil
	})
}
