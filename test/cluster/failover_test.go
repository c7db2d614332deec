package cluster_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"broadcastd/test/redistest"
)

// TestMasterKilledUnderLoad publishes steadily by way of three nodes while their
// Redis master is killed. What was answered with 200 must reach everybody once, also
// what the new master never got, and all goes on by itself.
func TestMasterKilledUnderLoad(t *testing.T) {
	t.Run("Sentinel", func(t *testing.T) {
		t.Parallel()
		s := redistest.StartSentinels(t)
		failOver(t, nodeOptions{redis: s.URL()}, s.KillMaster)
	})
	t.Run("replicas behind", func(t *testing.T) {
		t.Parallel()
		s := redistest.StartSentinels(t)
		told := failOver(t, nodeOptions{redis: s.URL()}, func() *redistest.Server {
			replicas := s.Replicas()
			for _, r := range replicas {
				r.Freeze()
			}
			// What follows they never get, and it is too short for Sentinels to notice.
			if err := s.Master().Client().Do(t.Context(), "client", "kill", "type", "replica").Err(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			master := s.KillMaster()
			for _, r := range replicas {
				r.Thaw()
			}
			return master
		})
		if told[repeats] == 0 || told[rewinds] == 0 {
			t.Errorf("the new master lacked entries, but metrics tell of %v", told)
		}
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t)
		failOver(t, nodeOptions{redis: c.URL(), partitions: 3}, func() *redistest.Server {
			return c.KillMasterOf("broadcastd:{" + appID + ":0}:log")
		})
	})
}

// load publishes numbered events to a node until it is stopped.
type load struct {
	node     *node
	channels []string
	stop     chan struct{}
	all      sync.WaitGroup

	mu       sync.Mutex // guards the following
	sent     int
	accepted map[string]string // data and channel
	refused  int
	first    time.Time // refusal
	last     time.Time // refusal
	recent   time.Time // the last 200
}

const (
	rewinds = "broadcastd_log_rewinds_total"
	gaps    = "broadcastd_log_gaps_total"
	repeats = "broadcastd_log_repeats_total"
)

// Several publishers, as one would wait for what Redis doesn't answer.
const publishers = 4

func startLoad(n *node, channels []string) *load {
	l := &load{node: n, channels: channels, stop: make(chan struct{}), accepted: map[string]string{}}
	for range publishers {
		l.all.Go(func() {
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-l.stop:
					return
				case <-ticker.C:
					l.publish()
				}
			}
		})
	}
	return l
}

func (l *load) publish() {
	l.mu.Lock()
	l.sent++
	data, channel := fmt.Sprintf("%s-%d", l.node.name, l.sent), l.channels[l.sent%len(l.channels)]
	l.mu.Unlock()
	began := time.Now()
	status, _ := l.node.publish(data, channel)
	l.mu.Lock()
	defer l.mu.Unlock()
	if status == http.StatusOK {
		l.accepted[data] = channel
		l.recent = time.Now()
		return
	}
	l.refused++
	if l.first.IsZero() {
		l.first = began
	}
	l.last = time.Now()
}

func (l *load) end() {
	close(l.stop)
	l.all.Wait()
}

// failOver returns what nodes' metrics tell of losses, together.
func failOver(t *testing.T, o nodeOptions, kill func() *redistest.Server) (told map[string]float64) {
	t.Helper()
	channels := []string{"one", "two", "three", "four", "five", "six"}
	var nodes []*node
	var clients []*client
	for i := range 3 {
		n := newNode(t, fmt.Sprintf("n%d", i+1), o)
		nodes = append(nodes, n)
		for j := range 2 {
			c := newClient(t, n, fmt.Sprintf("c%d%d", i+1, j+1), "ann", nil)
			for _, channel := range channels {
				c.join(channel)
			}
			clients = append(clients, c)
		}
	}
	for _, c := range clients {
		eventually(t, "joining", c.settled)
	}
	var loads []*load
	for _, n := range nodes {
		loads = append(loads, startLoad(n, channels))
	}
	time.Sleep(time.Second)
	kill()
	killed := time.Now()
	for _, l := range loads {
		eventually(t, "node "+l.node.name+" accepts events again", func() error {
			l.mu.Lock()
			defer l.mu.Unlock()
			if !l.first.After(killed.Add(-time.Second)) || l.recent.Sub(l.last) < time.Second {
				return fmt.Errorf("%d refused, the last %s ago", l.refused, time.Since(l.last))
			}
			return nil
		})
	}
	accepted := map[string]string{}
	for _, l := range loads {
		l.end()
		maps.Copy(accepted, l.accepted)
		t.Logf("node %s: %d of %d events refused, within %s, the last %s after the master was killed",
			l.node.name, l.refused, l.sent, l.last.Sub(l.first).Round(time.Millisecond), l.last.Sub(killed).Round(time.Millisecond))
	}
	// What a node publishes now comes behind all that it accepted. Sentinels that can't
	// keep up may change their mind once more meanwhile.
	const end = "end of "
	for _, n := range nodes {
		eventually(t, "the end is accepted", func() error {
			_, err := n.publish(end+n.name, channels...)
			return err
		})
	}
	told = map[string]float64{}
	for _, n := range nodes {
		metrics, err := n.metrics()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{rewinds, gaps, repeats} {
			told[name] += metrics[name]
		}
	}
	t.Logf("%d events accepted; %v", len(accepted), told)
	for _, c := range clients {
		times := map[string]int{}
		for _, channel := range channels {
			var events []string
			eventually(t, "the last events for client "+c.name, func() error {
				events, _, _ = c.events(channel)
				for _, n := range nodes {
					if !slices.Contains(events, end+n.name) {
						return fmt.Errorf("that of node %s didn't come in %s", n.name, channel)
					}
				}
				return nil
			})
			for _, data := range events {
				times[data]++
			}
		}
		var missing, twice []string
		for data := range accepted {
			if times[data] == 0 {
				missing = append(missing, data)
			}
		}
		for data, n := range times {
			if n > 1 && !strings.HasPrefix(data, end) {
				twice = append(twice, data)
			}
		}
		if len(twice) > 0 {
			t.Errorf("client %s got twice: %s", c.name, strings.Join(sorted(twice), " "))
		}
		if len(missing) > 0 {
			t.Errorf("client %s lacks %d accepted events: %s", c.name, len(missing), strings.Join(sorted(missing), " "))
		}
	}
	for _, n := range nodes {
		eventually(t, "node "+n.name+" is ready", func() error {
			text, err := n.readiness()
			if err == nil && strings.Contains(text, "out of reach") {
				err = fmt.Errorf("it says %s", text)
			}
			return err
		})
		if _, _, run := n.at(); run != 1 || n.cmd.ProcessState != nil {
			t.Errorf("node %s was restarted, or ended", n.name)
		}
	}
	return told
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list[:min(len(list), 20)]
}
