package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"broadcastd/test/proxy"
)

// lease is short, so that much happens in little time.
const lease = 4 * time.Second

// node is a daemon and its way to Redis. ask.go has what it is asked.
type node struct {
	*process
	s      *soak
	group  *group
	proxy  *proxy.Proxy
	config string // file

	mu          sync.Mutex // guards the following
	addr, admin string     // empty while it isn't running
	runs        int        // how often it was started
	scrapes     []scrape
}

const common = `
host: 127.0.0.1
port: 0
shutdown_timeout: 20s
shutdown_delay: 500ms
shutdown_spread: 2s
admin: {listen: "127.0.0.1:0"}
auth: {endpoint: %q, timeout: 2s, max_wait: 5s, max_concurrent: 16}
app:
  id: %s
  key: %s
  secret: %s
  activity_timeout: 20s
  ping_interval: 20s
  pong_timeout: 20s
  max_event_size: 32KiB
  max_outbox: 64KiB
  webhooks: [{url: %q}]
`

func (s *soak) newNode(g *group, name string) (*node, error) {
	p, err := proxy.New(s.redis.addr)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, name+".yaml")
	n := &node{s: s, group: g, proxy: p, config: config, process: newProcess(s.dir, name, s.daemon, "start", "--config", config)}
	text := fmt.Sprintf(common, s.api.url, appID, key, secret, g.hooks.url)
	source := "pubsub"
	if g.cluster {
		text += fmt.Sprintf("scaling: {enabled: true, partitions: %d, lease: %s, node: %s}\n", partitions, lease, name)
		source = "both"
	}
	text += fmt.Sprintf("redis: {url: %q, source: %s, prefix: [%s]}\n", p.URL(), source, g.prefix)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return n, n.start()
}

var listening = regexp.MustCompile(`msg=listening address=(\S+) .*admin=(\S+)`)

// start runs the daemon until it listens, at another address than before.
func (n *node) start() error {
	var match []string
	err := n.process.start(func() error {
		if match = listening.FindStringSubmatch(n.said()); match == nil {
			return fmt.Errorf("node %s doesn't listen; its log is %s", n.name, n.log)
		}
		return nil
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr, n.admin = match[1], match[2]
	n.runs++
	return nil
}

// kill ends the daemon at once, as a crash would.
func (n *node) kill() {
	n.gone()
	_ = n.process.stop(syscall.SIGKILL, patience) // nothing else is to be said of it
}

// drain ends the daemon in order. Clients come until it doesn't listen any more.
func (n *node) drain() error {
	defer n.gone()
	return n.process.stop(syscall.SIGTERM, 40*time.Second)
}

func (n *node) gone() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr, n.admin = "", ""
}

func (n *node) freeze() { n.signal(syscall.SIGSTOP) }
func (n *node) thaw()   { n.signal(syscall.SIGCONT) }

// at is where the node is now, and run which of its runs that is.
func (n *node) at() (addr, admin string, run int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr, n.admin, n.runs
}
