package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/auth"
	"broadcastd/channels"
	"broadcastd/internal/config"
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
}

// Server is the daemon but for Redis.
type Server struct {
	// Static after construction.
	cfg       config.Config
	log       *slog.Logger
	apps      map[string]*app // by id
	keys      map[string]*app // by key
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

	draining atomic.Bool
	sessions sync.WaitGroup
	refusals sync.Map // labels of refusals that were logged

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
		apps: make(map[string]*app),
		keys: make(map[string]*app),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.Close()
		}
	}()

	if err = s.newAPI(o); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(o.Registry, o.Version)

	opts := socket.Options{Hooks: socket.Hooks{Written: s.metrics.written}}
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
	s.flushers = socket.NewFlushers(opts)
	topics := new(atomic.Uint64)
	hookMetrics := webhook.NewMetrics(o.Registry)
	for _, c := range o.Config.AllApps() {
		hooks, err := newWebhooks(c, hookMetrics, o.Log)
		if err != nil {
			return nil, err
		}
		hubOpts := channels.Options{
			CacheTTL: c.CacheTTL, CacheBytes: c.CacheSize, MaxMembers: c.MaxPresenceMembers,
			SubscriptionCount: c.SubscriptionCount,
		}
		if hooks != nil {
			hubOpts.Observer = hooks
		}
		a := newApp(c, channels.NewHub(s.flushers, topics, hubOpts), hooks)
		s.apps[a.ID], s.keys[a.Key] = a, a
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
	s.public = s.httpServer(s.publicRoutes())
	s.admin = s.httpServer(s.adminRoutes(o.Registry))
	return s, nil
}

// Limits on HTTP requests before a WebSocket or a body begins.
const (
	headerTimeout  = 10 * time.Second
	bodyTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.With("component", "http").Handler(), slog.LevelDebug),
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
	go func() { errs <- s.public.Serve(s.listener) }()
	n := 1
	if s.adminLine != nil {
		n++
		go func() { errs <- s.admin.Serve(s.adminLine) }()
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

const (
	// requestTime is what HTTP requests under way get at shutdown, before
	// clients are told to go: they may still publish.
	requestTime = time.Second
	// killTime is what Shutdown keeps of its time for cutting off clients that
	// didn't go by themselves.
	killTime = 500 * time.Millisecond
)

// Shutdown stops accepting, tells clients to reconnect, lets what was sent to
// them be written and webhooks be told, and ends within ctx's deadline.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	defer s.Close()

	requests, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	err := s.public.Shutdown(requests)
	if err != nil {
		err = fmt.Errorf("HTTP requests still under way were cut off: %w", err)
		_ = s.public.Close() // cuts them off
	}
	s.cancel()
	s.flushers.CloseAll(socket.ReasonShutdown)
	gone := make(chan struct{})
	go func() { s.sessions.Wait(); close(gone) }()
	gently, cancel := beforeDeadline(ctx, killTime)
	defer cancel()
	select {
	case <-gone:
	case <-gently.Done():
		err = errors.Join(err, errors.New("clients that did not go by themselves were cut off"))
	}
	s.closeSessions()
	return errors.Join(err, s.endWebhooks(ctx))
}

// beforeDeadline ends earlier than ctx by d.
func beforeDeadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if t, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, t.Add(-d))
	}
	return context.WithCancel(ctx)
}

// enter counts a session that begins, unless the server has ended.
func (s *Server) enter() bool {
	s.closeMu.Lock()
	defer s.closeMu.Unlock()
	if !s.closed {
		s.sessions.Add(1)
	}
	return !s.closed
}

// Close ends everything at once. A second time it does nothing.
func (s *Server) Close() {
	s.closeSessions()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.endWebhooks(ended) // it has logged what is lost
	for _, api := range []*auth.API{s.api, s.userAPI} {
		if api != nil {
			api.Close()
		}
	}
}

// closeSessions ends what comes in, clients and HTTP requests, at once. A
// second time it does nothing.
func (s *Server) closeSessions() {
	s.closeMu.Lock()
	again := s.closed
	s.closed = true
	s.closeMu.Unlock()
	if again {
		return
	}
	s.cancel()
	for _, h := range []*http.Server{s.public, s.admin} {
		if h != nil {
			_ = h.Close() // nothing under way matters any more
		}
	}
	for _, l := range []net.Listener{s.listener, s.adminLine} {
		if l != nil {
			_ = l.Close() // its server may have closed it
		}
	}
	if s.flushers != nil {
		s.flushers.KillAll(socket.ReasonShutdown)
		s.sessions.Wait()
		s.flushers.Stop()
	}
}

// Source is where an event came from, as metrics name it.
type Source string

// The sources of events.
const (
	SourceRedis  Source = "redis"
	SourceHTTP   Source = "http"
	SourceClient Source = "client"
)

// ErrUnknownApp means that no app has the id.
var ErrUnknownApp = errors.New("no app has this id")

// Publish delivers an event of an app to the channel's subscribers. All
// sources end here. It waits only while the daemon is far behind; then the
// source has to.
func (s *Server) Publish(source Source, appID string, e protocol.Event) error {
	received := time.Now()
	a := s.apps[appID]
	if a == nil {
		return ErrUnknownApp
	}
	if err := e.Check(); err != nil {
		return err
	}
	s.publish(source, a, &e, received)
	return nil
}

// warnPlain tells once of an app that sends readable events to encrypted
// channels: clients throw them away, and who expected secrecy has none.
func (s *Server) warnPlain(source Source, a *app) {
	s.metrics.plainEvents.WithLabelValues(a.ID, string(source)).Inc()
	if a.plain.CompareAndSwap(false, true) {
		s.log.Warn("an event for an encrypted channel is not encrypted (Laravel's redis driver doesn't; its reverb and pusher drivers do); further ones are only counted",
			"app", a.ID, "source", string(source))
	}
}

// publish needs an event that passed its check.
func (s *Server) publish(source Source, a *app, e *protocol.Event, received time.Time) {
	s.flushers.Wait()
	if protocol.KindOf(e.Channel).IsEncrypted() && !protocol.LooksEncrypted(e.Data) {
		s.warnPlain(source, a)
	}
	a.hub.Publish(e, received)
	s.metrics.events.WithLabelValues(a.ID, string(source)).Inc()
}
