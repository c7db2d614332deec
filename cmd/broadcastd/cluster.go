package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/internal/server"
	"broadcastd/protocol"
	"broadcastd/redisbridge"
	"broadcastd/redisbridge/cluster"
)

// readyTime is how long the start waits for the cluster's Redis before clients are
// let in without it.
const readyTime = 5 * time.Second

// clustering is the daemon's part in a cluster, or its log. Its methods do nothing
// where there is neither.
type clustering struct {
	cfg     config.Config
	cluster *cluster.Cluster // nil: neither
	addr    net.Addr
	cancel  context.CancelFunc
	ended   chan struct{}
}

func newCluster(cfg config.Config, reg prometheus.Registerer, log *slog.Logger) (*clustering, error) {
	c := &clustering{cfg: cfg}
	if !cfg.ReadsLog() {
		return c, nil
	}
	var err error
	c.cluster, err = cluster.New(cluster.Options{
		URL: cfg.LogURL(), Prefix: cfg.Scaling.Prefix, Partitions: cfg.Scaling.Partitions, Apps: len(cfg.AllApps()),
		Lease: cfg.Scaling.Lease, LogLength: cfg.Scaling.LogLength, Name: c.name, Version: versionText(),
		Log: log.With("component", "cluster"), Registerer: reg,
	})
	return c, err
}

// name is what operators see of this node.
func (c *clustering) name() string {
	if c.cfg.Scaling.Node != "" {
		return c.cfg.Scaling.Node
	}
	host, err := os.Hostname()
	if err != nil {
		host = c.cfg.Host
	}
	_, port, err := net.SplitHostPort(c.addr.String())
	if err != nil {
		port = strconv.Itoa(c.cfg.Port)
	}
	return net.JoinHostPort(host, port)
}

// join is what makes an app of the server one of the cluster's.
func (c *clustering) join() func(channels.Node) channels.Cluster {
	if !c.cfg.Scaling.Enabled {
		return nil
	}
	return c.cluster.Serve
}

// start reads the logs from now on.
func (c *clustering) start(ctx context.Context, srv *server.Server) error {
	if c.cluster == nil {
		return nil
	}
	c.addr = srv.Addr()
	if c.cfg.Redis.Required {
		if err := redisbridge.Ping(ctx, c.cfg.LogURL()); err != nil {
			return fmt.Errorf("redis.required is set, but the cluster's Redis is away: %w", err)
		}
	}
	if !c.cfg.Scaling.Enabled {
		for _, a := range c.cfg.AllApps() {
			c.cluster.Listen(channels.Node{App: a.ID, MaxEventSize: a.MaxEventSize, Deliver: func(e *protocol.Event, _ bool) {
				_ = srv.Publish(server.SourceStream, a.ID, *e) // the app is there, and the event was checked
			}})
		}
	}
	srv.AddCheck(server.Check{Name: "cluster", Required: c.cfg.Redis.Required, Err: c.cluster.State})
	srv.AddCheck(server.Check{Name: "cluster_losses", Notice: true, Err: c.cluster.Losses})
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel, c.ended = cancel, make(chan struct{})
	go func() {
		defer close(c.ended)
		c.cluster.Run(running)
	}()
	ready, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	c.cluster.Ready(ready)
	if err := c.cluster.Disagrees(); err != nil {
		_ = c.leave(ready) // the error counts
		c.stop()
		return err
	}
	return nil
}

// leave takes the daemon out of the cluster, once its sessions are over.
func (c *clustering) leave(ctx context.Context) error {
	if c.cluster == nil {
		return nil
	}
	return c.cluster.Close(ctx)
}

// stop ends what start began.
func (c *clustering) stop() {
	if c.cancel != nil {
		c.cancel()
		<-c.ended
	}
}
