package attacks_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"broadcastd/test/attack"
	"broadcastd/test/daemon"
)

const channel = "private-jobs"

// siege is an attack on a daemon that has healthy clients.
type siege struct {
	attack    string
	attackers int
	times     int // that each strikes
	config    string
	app       string // in the configuration
	want      attack.Got
	counted   map[string]float64 // metrics of what the attack caused, at least
	most      map[string]float64 // the same, at most
}

const (
	healthy = 3
	// maxGrowth is what the daemon's resident memory may grow by, in bytes: several
	// times what any of these attacks takes, and a small part of what it would take
	// if the daemon kept what it is sent.
	maxGrowth = 48 << 20
	// maxWarnings is how many lines an attack may add to the log.
	maxWarnings = 3
)

func (s siege) run(t *testing.T) {
	t.Helper()
	a, ok := attack.Named(s.attack)
	if !ok {
		t.Fatalf("there is no attack %q", s.attack)
	}
	app := s.app
	if a.Compression {
		app += "compression: true, "
	}
	d := daemon.Start(t, daemon.Options{Config: s.config, App: app})
	w := newWitnesses(d)
	before := d.Holds()
	gauges := sizes(t, d)
	resident := d.Metric(memory)
	lines := d.Log.Lines("level=")

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	over := make(chan attack.Got, 1)
	go func() { over <- a.Run(ctx, target(d), s.attackers, s.times) }()
	var got attack.Got
	peak := resident
	for n := 0; got == nil || n < 10; n++ {
		w.hear(t)
		peak = max(peak, d.Metric(memory))
		select {
		case got = <-over:
		case <-time.After(20 * time.Millisecond): // events come steadily
		}
	}

	if !maps.Equal(got, s.want) {
		t.Errorf("the attackers got %s, want %s", got, s.want)
	}
	for name, least := range s.counted {
		daemon.Eventually(t, "what the attackers met is counted", func() error {
			if n := d.Metric(name); n < least {
				return fmt.Errorf("%s is %v, want %v", name, n, least)
			}
			return nil
		})
	}
	for name, most := range s.most {
		if n := d.Metric(name); n > most {
			t.Errorf("%s is %v, want %v at most", name, n, most)
		}
	}
	if grown := peak - resident; grown > maxGrowth {
		t.Errorf("resident memory grew by %.0f MiB", grown/(1<<20))
	}
	if n := d.Log.Lines("level=") - lines; n > maxWarnings {
		t.Errorf("%d lines were logged:\n%s", n, d.Log)
	}
	daemon.Eventually(t, "all sizes are as before", func() error {
		if now := sizes(t, d); !maps.Equal(now, gauges) {
			return fmt.Errorf("they are %v, before it %v", now, gauges)
		}
		return nil
	})
	w.hear(t)
	d.WantNoMore(before)
	if n := d.Metric(`broadcastd_panics_total{place="message"}`); n != 0 {
		t.Errorf("%v panics", n)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

func target(d *daemon.Daemon) *attack.Target {
	return &attack.Target{
		Addr: d.Addr, AppID: daemon.AppID, Key: daemon.Key, Secret: daemon.Secret, Channel: channel, Room: "presence-jobs",
		MaxMessage: 100 << 10, Stay: 2,
	}
}

const memory = "process_resident_memory_bytes"

// sizes are the gauges of what clients cause.
func sizes(t *testing.T, d *daemon.Daemon) map[string]float64 {
	t.Helper()
	all, err := d.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	now := map[string]float64{"broadcastd_backlog": all["broadcastd_backlog"]}
	for _, kind := range []string{"public", "private", "presence"} {
		for _, name := range []string{"broadcastd_channels", "broadcastd_subscriptions"} {
			name += fmt.Sprintf(`{app=%q,kind=%q}`, daemon.AppID, kind)
			now[name] = all[name]
		}
	}
	const connections = `broadcastd_connections{app="` + daemon.AppID + `"}`
	now[connections] = all[connections]
	return now
}

// witnesses are healthy clients of one channel.
type witnesses struct {
	d       *daemon.Daemon
	clients []*daemon.Client
	events  int
}

func newWitnesses(d *daemon.Daemon) *witnesses {
	w := &witnesses{d: d}
	for range healthy {
		c := d.Connect()
		c.Subscribe(channel)
		w.clients = append(w.clients, c)
	}
	return w
}

// hear publishes an event, which everybody gets next.
func (w *witnesses) hear(t *testing.T) {
	t.Helper()
	w.events++
	data := fmt.Sprint(w.events)
	if code, body, err := w.d.Post(channel, "e", data, time.Now()); code != 200 {
		t.Fatalf("event %s: %d %s %v", data, code, body, err)
	}
	for _, c := range w.clients {
		c.Want(channel, "e", data)
	}
}
