package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/internal/nonblock"
	"broadcastd/internal/socket"
	"broadcastd/internal/webhook"
	"broadcastd/protocol"
)

// Options are what a Server needs.
type Options struct {
	Config   config.Config // validated
	Log      *slog.Logger
	Registry *prometheus.Registry
	// Version is shown in metrics.
	Version string
	// Cluster makes an app's channels part of a cluster's; nil: this node is
	// alone.
	Cluster func(channels.Node) channels.Cluster
	// BodyTimeout and IdleTimeout bound the time until a request's body has come,
	// and until the next request begins; 0: the defaults.
	BodyTimeout, IdleTimeout time.Duration
}

// Server is the daemon but for Redis.
type Server struct {
	// Static after construction.
	cfg       config.Config
	log       *slog.Logger
	apps      map[string]*app // by id
	keys      map[string]*app // by key
	limits    *limits
	flushers  *socket.Flushers
	api       *auth.API // asked about channels; nil: no API is configured
	userAPI   *auth.API // asked about users, the same or nil
	metrics   *metrics
	public    *http.Server
	admin     *http.Server
	listener  net.Listener
	adminLine net.Listener // nil: switched off
	ctx       context.Context
	cancel    context.CancelFunc

	goodbye *socket.Reason // what clients are told at shutdown

	leavingSoon atomic.Bool  // readiness says no
	draining    atomic.Bool  // nothing is accepted any more
	underWay    atomic.Int64 // HTTP requests that are being answered
	sessions    sync.WaitGroup
	leaving     sync.Once
	refusals    sync.Map                  // labels of refusals that were logged
	unsure      atomic.Pointer[time.Time] // when a request that the cluster failed was logged
	panics      panics
	accepting   accepting

	closeMu sync.Mutex // guards the following, and sessions growing from zero
	closed  bool

	checksMu sync.Mutex
	checks   []Check
}

// New binds the listeners; clients are served once Serve runs.
func New(o Options) (_ *Server, err error) {
	s := &Server{
		cfg:    o.Config,
		log:    o.Log,
		apps:   make(map[string]*app),
		keys:   make(map[string]*app),
		limits: &limits{addresses: make(map[netip.Addr]int)},
		goodbye: &socket.Reason{
			Label: socket.ReasonShutdown.Label,
			Code:  protocol.CloseCode(o.Config.ShutdownCloseCode),
			Text:  socket.ReasonShutdown.Text,
		},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.Close()
		}
	}()

	if err = s.limits.set(&o.Config); err != nil {
		return nil, err
	}
	if err = s.newAPI(o); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(o.Registry, o.Version)
	s.accepting = accepting{log: s.log, failed: s.metrics.acceptFailures}

	opts := socket.Options{Gather: o.Config.Gather, Hooks: socket.Hooks{Written: s.metrics.written}}
	if o.Config.Debug {
		opts.Hooks.Trace = s.traceOut
	}
	for _, a := range o.Config.AllApps() {
		for _, d := range []time.Duration{a.PingInterval, a.PongTimeout} {
			if opts.Shortest == 0 || d < opts.Shortest {
				opts.Shortest = d
			}
		}
	}
	if s.flushers, err = socket.NewFlushers(opts); err != nil {
		return nil, err
	}
	topics := new(atomic.Uint64)
	hookMetrics := webhook.NewMetrics(o.Registry)
	for _, c := range o.Config.AllApps() {
		hooks, err := newWebhooks(c, hookMetrics, o.Log)
		if err != nil {
			return nil, err
		}
		a := newApp(c, hooks, s.metrics)
		a.hub = channels.NewHub(s.flushers, topics, channels.Options{
			CacheTTL: c.CacheTTL, CacheBytes: c.CacheSize, MaxMembers: c.MaxPresenceMembers,
			SubscriptionCount: c.SubscriptionCount, Observer: a.observer(o.Cluster != nil),
		})
		s.apps[a.ID], s.keys[a.Key] = a, a
		if o.Cluster != nil {
			s.joinCluster(a, o.Cluster)
		}
	}
	o.Registry.MustRegister(&collector{server: s})

	listen := net.ListenConfig{Control: listenControl}
	addr := net.JoinHostPort(o.Config.Host, strconv.Itoa(o.Config.Port))
	if s.listener, err = listen.Listen(s.ctx, "tcp", addr); err != nil {
		return nil, fmt.Errorf("listening for clients (keys host and port): %w", err)
	}
	if o.Config.Admin.Listen != "" {
		if s.adminLine, err = listen.Listen(s.ctx, "tcp", o.Config.Admin.Listen); err != nil {
			return nil, fmt.Errorf("listening for metrics and health (key admin.listen; empty switches it off): %w", err)
		}
	}
	s.public = s.httpServer(o, s.limited(s.publicRoutes()))
	s.public.ConnContext = withPlace
	s.admin = s.httpServer(o, s.adminRoutes(o.Registry))
	return s, nil
}

// Limits on HTTP requests. A WebSocket lifts them.
const (
	bodyTimeout    = 30 * time.Second
	answerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

func (s *Server) httpServer(o Options, h http.Handler) *http.Server {
	body := cmp.Or(o.BodyTimeout, bodyTimeout)
	return &http.Server{
		Handler:           s.guarded(h),
		ReadHeaderTimeout: s.cfg.HandshakeTimeout,
		ReadTimeout:       body,
		WriteTimeout:      body + s.cfg.Auth.MaxWait + s.cfg.Auth.Timeout + answerTimeout,
		IdleTimeout:       cmp.Or(o.IdleTimeout, idleTimeout),
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.With("component", "http").Handler(), slog.LevelWarn),
	}
}

// Addr is where clients connect.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// AdminAddr is where metrics are, or nil.
func (s *Server) AdminAddr() net.Addr {
	if s.adminLine == nil {
		return nil
	}
	return s.adminLine.Addr()
}

// Serve serves until Shutdown, whose error is nil.
func (s *Server) Serve() error {
	errs := make(chan error, 2)
	go func() {
		errs <- s.public.Serve(bounded{nonblock.Listener{Listener: drained{patient{s.listener, &s.accepting}, &s.draining}}, s})
	}()
	n := 1
	if s.adminLine != nil {
		n++
		go func() { errs <- s.admin.Serve(patient{s.adminLine, &s.accepting}) }()
	}
	var first error
	for range n {
		if err := <-errs; !errors.Is(err, http.ErrServerClosed) && first == nil {
			first = err
			s.cancel()
			_ = s.public.Close() // the first error counts
			_ = s.admin.Close()
		}
	}
	return first
}
