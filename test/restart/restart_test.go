package restart_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadcastd/auth"
	"broadcastd/test/redistest"
)

const (
	many = 500                  // clients
	pace = 2 * time.Millisecond // from one event to the next
)

// publisher publishes numbered events, one after the other, by a function that
// returns when the event was taken.
type publisher struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex // guards the following
	begun  []time.Time
	done   []time.Time
	failed int // tries, after each of which the event was sent again
}

func publish(t testing.TB, send func(ctx context.Context, data string) error) *publisher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		for i := 0; ctx.Err() == nil; i++ {
			p.mu.Lock()
			p.begun = append(p.begun, time.Now())
			p.mu.Unlock()
			for send(context.WithoutCancel(ctx), fmt.Sprintf(`{"number":%d}`, i)) != nil && ctx.Err() == nil {
				p.mu.Lock()
				p.failed++
				p.mu.Unlock()
			}
			p.mu.Lock()
			p.done = append(p.done, time.Now())
			p.mu.Unlock()
			time.Sleep(pace)
		}
	}()
	t.Cleanup(func() { p.stop() })
	return p
}

// stop returns the last event's number.
func (p *publisher) stop() int {
	p.cancel()
	<-p.ended
	return len(p.done) - 1
}

// goesOn waits for so many more events.
func (p *publisher) goesOn(t testing.TB, more int) {
	t.Helper()
	p.mu.Lock()
	want := len(p.done) + more
	p.mu.Unlock()
	eventually(t, "waiting for the publisher", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.done) < want {
			return fmt.Errorf("it has published %d of %d events", len(p.done), want)
		}
		return nil
	})
}

// viaRedis publishes as Laravel does.
func viaRedis(client *redis.Client) func(context.Context, string) error {
	return func(ctx context.Context, data string) error {
		return client.Publish(ctx, prefix+channel, `{"event":"tick","data":`+data+`,"socket":null}`).Err()
	}
}

// viaHTTP publishes by the API, with a connection for each event.
func viaHTTP(addr string) func(context.Context, string) error {
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	return func(ctx context.Context, data string) error {
		body, err := json.Marshal(map[string]string{"name": "tick", "channel": channel, "data": data})
		if err != nil {
			return err
		}
		path := "/apps/" + appID + "/events"
		url := "http://" + addr + path + "?" + auth.SignRequest(http.MethodPost, path, nil, body, key, secret, time.Now())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		res, err := web.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", res.Status)
		}
		return nil
	}
}

// check demands that nobody missed what was published while it was subscribed, but
// for the time from the end's beginning until it was back; and logs what it was.
func (c crowd) check(t *testing.T, p *publisher, last int, ending time.Time) {
	t.Helper()
	var missed []int
	var off []time.Duration
	for i, one := range c {
		lives, _, wrong := one.state()
		if len(wrong) > 0 {
			t.Fatalf("client %d was treated badly: %q", i, wrong)
		}
		next, lost := 0, 0
		for n, life := range lives {
			for _, number := range life.got {
				if number < next {
					t.Fatalf("client %d got event %d after %d", i, number, next-1)
				}
				for ; next < number; next++ {
					if p.begun[next].After(life.since) {
						t.Fatalf("client %d was back for %v when event %d was sent, and missed it", i, p.begun[next].Sub(life.since), next)
					}
					if n == 0 {
						continue // it had not come yet
					}
					if lost++; p.done[next].Before(ending) {
						t.Fatalf("client %d missed event %d, %v before the restart", i, next, ending.Sub(p.done[next]))
					}
				}
				next = number + 1
			}
			if n > 0 {
				off = append(off, life.since.Sub(lives[n-1].until))
			}
		}
		if next != last+1 {
			t.Fatalf("client %d got event %d last, of %d", i, next-1, last)
		}
		missed = append(missed, lost)
	}
	slices.Sort(missed)
	slices.Sort(off)
	t.Logf("%d clients were off for %v to %v, in the middle %v, and missed %d to %d events of %d, in the middle %d; %d tries to publish failed",
		len(c), off[0].Round(time.Millisecond), off[len(off)-1].Round(time.Millisecond), off[len(off)/2].Round(time.Millisecond),
		missed[0], missed[len(missed)-1], last+1, missed[len(missed)/2], p.failed)
}

const oneApp = `
redis: {url: %q, prefix: [` + prefix + `]}
app: {id: ` + appID + `, key: ` + key + `, secret: ` + secret + `}
`

// A parent that keeps the socket, as systemd does, restarts the daemon: whoever comes
// meanwhile waits.
func TestSocketActivation(t *testing.T) {
	for name, byHTTP := range map[string]bool{"redis": false, "http": true} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			file := settings(t, fmt.Sprintf(oneApp, server.URL()))
			socket := listen(t)
			addr := socket.Addr().String()
			boss := newBoss(t)
			first := start(t, file, boss.env, []*net.TCPListener{socket})
			first.logs(`msg="redis subscribed"`)
			boss.hears(t, "READY=1")
			crowd := connect(t, many, addr)
			send := viaRedis(server.Client())
			if byHTTP {
				send = viaHTTP(addr)
			}
			p := publish(t, send)
			visits := newcomers(t, addr)
			p.goesOn(t, 50)

			ending := time.Now()
			first.stop()
			boss.hears(t, "STOPPING=1")
			second := start(t, file, boss.env, []*net.TCPListener{socket})
			second.logs(`msg="redis subscribed"`)
			boss.hears(t, "READY=1")
			crowd.settle(t, 2)

			p.goesOn(t, 50)
			last := p.stop()
			crowd.hear(t, last)
			crowd.check(t, p, last, ending)
			n, errs := visits()
			if len(errs) > 0 {
				t.Errorf("of %d who came meanwhile, some were not let in: %v", n, errs)
			}
			if p.failed > 0 {
				t.Errorf("%d tries to publish failed", p.failed)
			}
		})
	}
}

// A second process listens at the same port before the first one goes.
func TestReusePort(t *testing.T) {
	for name, byHTTP := range map[string]bool{"redis": false, "http, scaling": true} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			text := "reuse_port: true\n" + fmt.Sprintf(oneApp, server.URL())
			if byHTTP { // an event that comes by HTTP reaches one process
				text += "scaling: {enabled: true}\n"
			}
			file := settings(t, text)
			first := start(t, file, nil, nil)
			crowd := connect(t, many, first.addr)
			send := viaRedis(server.Client())
			if byHTTP {
				send = viaHTTP(first.addr)
			}
			first.logs(`msg="redis subscribed"`)
			p := publish(t, send)
			p.goesOn(t, 50)

			_, port, _ := net.SplitHostPort(first.addr)
			second := start(t, file, nil, nil, "--port", port)
			second.logs(`msg="redis subscribed"`)
			ending := time.Now()
			first.stop()
			crowd.settle(t, 2)

			p.goesOn(t, 50)
			last := p.stop()
			crowd.hear(t, last)
			crowd.check(t, p, last, ending)
		})
	}
}

// Two processes share a port only if both are to.
func TestReusePortIsAsked(t *testing.T) {
	first := start(t, settings(t, fmt.Sprintf(plainApp, "info")), nil, nil)
	_, port, _ := net.SplitHostPort(first.addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	second := exec.CommandContext(ctx, binary, "start", "--port", port,
		"--config", settings(t, "reuse_port: true\n"+fmt.Sprintf(plainApp, "info")))
	dieWithParent(second)
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "keys host and port") {
		t.Errorf("another process could listen at the port: %v %s", err, out)
	}
}

// boss is what systemd is told at NOTIFY_SOCKET.
type boss struct {
	env  []string
	conn *net.UnixConn
}

func newBoss(t testing.TB) *boss {
	t.Helper()
	path := t.TempDir() + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &boss{env: []string{"NOTIFY_SOCKET=" + path}, conn: conn}
}

// hears demands what comes next.
func (b *boss) hears(t testing.TB, want string) {
	t.Helper()
	if got := b.next(t); got != want {
		t.Errorf("the supervisor was told %q, want %q", got, want)
	}
}

func (b *boss) next(t testing.TB) string {
	t.Helper()
	if err := b.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 1000)
	n, err := b.conn.Read(text)
	if err != nil {
		t.Fatalf("the supervisor was told nothing: %v", err)
	}
	return string(text[:n])
}
