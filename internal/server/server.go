package server

import (
	"cmp"
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
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
)

// Options are what a Server needs.
type Options struct {
	Config   config.Config // validated
	Log      *slog.Logger
	Registry *prometheus.Registry
	// Version is shown in metrics.
	Version string
	// Load reads the configuration anew, validated, for Reload; nil: there is none.
	Load func() (config.Config, error)
	// LogLevel is that of Log, for Reload; nil: it stays.
	LogLevel *slog.LevelVar
	// Public and Admin are listeners that the process was given; nil: New binds.
	Public, Admin net.Listener
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
	cfg         config.Config // as it was at the start
	log         *slog.Logger
	load        func() (config.Config, error)
	logLevel    *slog.LevelVar // nil: a reload leaves it
	cluster     func(channels.Node) channels.Cluster
	limits      *limits
	flushers    *socket.Flushers
	topics      atomic.Uint64
	api         *auth.API    // asked about channels; nil: no API is configured
	userAPI     *auth.API    // asked about users, the same or nil
	again       *revalidator // nil: the API is not asked again
	metrics     *metrics
	hookMetrics *webhook.Metrics
	public      *http.Server
	admin       *http.Server
	listener    *front
	adminLine   net.Listener  // nil: switched off
	certs       *certificates // nil: no TLS
	ctx         context.Context
	cancel      context.CancelFunc

	current atomic.Pointer[config.Config] // what a reload made of cfg
	served  atomic.Pointer[apps]

	reloading sync.Mutex      // one Reload at a time
	retiredMu sync.Mutex      // guards retired
	retired   map[string]*app // those that a reload removed, which may come back

	leavingSoon atomic.Bool  // readiness says no
	draining    atomic.Bool  // no session begins any more
	underWay    atomic.Int64 // HTTP requests that are being answered
	sessions    sync.WaitGroup
	leaving     sync.Once
	elsewhere   sync.Once // a grant to another node's connection was logged
	refusals    sync.Map  // labels of refusals that were logged
	seldom      seldom
	accepting   accepting

	closeMu sync.Mutex // guards the following, and sessions growing from zero
	closed  bool

	checksMu sync.Mutex
	checks   []Check
}

// New binds the listeners; clients are served once Serve runs.
func New(o Options) (_ *Server, err error) {
	s := &Server{
		cfg:  o.Config,
		log:  o.Log,
		load: o.Load, logLevel: o.LogLevel,
		cluster: o.Cluster,
		retired: make(map[string]*app),
		limits:  &limits{addresses: make(map[netip.Addr]int)},
	}
	s.current.Store(&s.cfg)
	s.served.Store(newApps(nil))
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
	s.again = newRevalidator(s)
	s.accepting = accepting{log: s.log, seldom: &s.seldom, failed: s.metrics.acceptFailures}

	opts := socket.Options{
		Shortest: shortest(o.Config.AllApps()), Gather: o.Config.Gather, Hooks: socket.Hooks{Written: s.metrics.written},
	}
	if o.Config.Debug {
		opts.Hooks.Trace = s.traceOut
	}
	if s.flushers, err = socket.NewFlushers(opts); err != nil {
		return nil, err
	}
	s.hookMetrics = webhook.NewMetrics(o.Registry)
	var all []*app
	for _, c := range o.Config.AllApps() {
		a, err := s.newApp(c)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
		s.served.Store(newApps(all)) // Close ends them
	}
	o.Registry.MustRegister(&collector{server: s})

	if o.Config.TLS.Cert != "" {
		if s.certs, err = newCertificates(o.Config.TLS, o.Registry, o.Log.With("component", "tls")); err != nil {
			return nil, err
		}
	}
	if err = s.listen(o); err != nil {
		return nil, err
	}
	s.public = s.httpServer(o, s.limited(s.publicRoutes()))
	s.public.ConnContext = withPlace
	s.admin = s.httpServer(o, s.adminRoutes(o.Registry))
	if s.again != nil {
		s.sessions.Go(func() { s.again.run(s.ctx) })
	}
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
		ErrorLog:          log.New(httpLog{s.log.With("component", "http")}, "", 0),
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

// config is what a reload made of the configuration. What needs a restart stays
// what it was.
func (s *Server) config() *config.Config { return s.current.Load() }

// Serve serves until Shutdown, whose error is nil.
func (s *Server) Serve() error {
	if s.certs != nil && s.enter() {
		go func() {
			defer s.sessions.Done()
			s.certs.watch(s.ctx)
		}()
	}
	errs := make(chan error, 2)
	go func() {
		errs <- s.public.Serve(s.secure(bounded{nonblock.Listener{Listener: patient{s.listener, &s.accepting}}, s}))
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
