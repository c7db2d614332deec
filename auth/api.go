package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/protocol"
)

// APIConfig says how the API is asked. Endpoint, Timeout and MaxConcurrent
// are required.
type APIConfig struct {
	// Endpoint is the URL of the API's channel authorisation, such as
	// http://127.0.0.1:8000/broadcasting/auth.
	Endpoint string
	// Headers are the names of those headers of a client that the API gets to
	// see. User-Agent, when listed, replaces the daemon's own.
	Headers []string
	// Timeout bounds one call, from the connection to the reply's last byte.
	Timeout time.Duration
	// MaxConcurrent bounds the calls under way. Further ones wait, since
	// pusher-js does not repeat a refused subscription, up to MaxWait.
	MaxConcurrent int
	MaxWait       time.Duration
}

// API asks the application who may join a channel. Its methods may be called
// concurrently.
type API struct {
	cfg       APIConfig
	transport *http.Transport
	log       *slog.Logger
	metrics   *metrics
	slots     chan struct{} // holds a token per call under way
	warnings  warnings
}

// Request is a client's wish to join a channel.
type Request struct {
	SocketID protocol.SocketID
	Channel  string
	// Header is the client's; what is not configured stays here.
	Header http.Header
}

// Grant is a yes. Its JSON is the reply that pusher-js expects of an
// authorisation endpoint, with status 200.
type Grant struct {
	Auth string `json:"auth"`
	// ChannelData is the member of a presence channel, {"user_id", "user_info"?}
	// as JSON text, and part of what Auth signs. On other channels it is empty,
	// unless an already signed reply carried it.
	ChannelData string `json:"channel_data,omitempty"`
	// SharedSecret is the key of an encrypted channel, in base64.
	SharedSecret string `json:"shared_secret,omitempty"`
}

// NewAPI checks the configuration and registers the metrics; it does not call
// the API. The caller ends with [API.Close].
func NewAPI(cfg APIConfig, reg prometheus.Registerer, log *slog.Logger) (*API, error) {
	endpoint, err := url.Parse(cfg.Endpoint)
	switch {
	// Neither text may quote the URL, which could hold a password.
	case err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https":
		return nil, errors.New("auth.endpoint is not an http or https URL such as http://127.0.0.1:8000/broadcasting/auth")
	case endpoint.User != nil:
		return nil, errors.New("auth.endpoint holds a user name: take it out, the API is asked with the client's own credentials")
	case cfg.Timeout <= 0:
		return nil, fmt.Errorf("auth.timeout is %v, it must be above 0", cfg.Timeout)
	case cfg.MaxConcurrent < 1:
		return nil, fmt.Errorf("auth.max_concurrent is %d, it must be at least 1", cfg.MaxConcurrent)
	}
	for _, name := range cfg.Headers {
		if err := checkHeaderName(name); err != nil {
			return nil, err
		}
	}
	return &API{
		cfg:       cfg,
		transport: newTransport(cfg),
		log:       log,
		metrics:   newMetrics(reg),
		slots:     make(chan struct{}, cfg.MaxConcurrent),
	}, nil
}

// Close drops the idle connections to the API. Calls under way end by their
// own context.
func (a *API) Close() { a.transport.CloseIdleConnections() }

// Authorize asks whether the client may join the channel and returns the
// signed yes. It waits for a free slot and for the API; ctx ends both. The
// error is a *[Refusal].
//
// The channel's name is checked here first: Laravel normalises names and then
// says yes to some that are not those of the channel it has in mind.
func (a *API) Authorize(ctx context.Context, app Credentials, req Request) (Grant, error) {
	grant, refusal := a.authorize(ctx, app, req)
	a.metrics.requests.WithLabelValues(resultOf(refusal)).Inc()
	if refusal != nil {
		a.report(ctx, req, refusal)
		return Grant{}, refusal
	}
	return grant, nil
}

func (a *API) authorize(ctx context.Context, app Credentials, req Request) (Grant, *Refusal) {
	if refusal := a.check(req); refusal != nil {
		return Grant{}, refusal
	}
	if refusal := a.acquire(ctx); refusal != nil {
		return Grant{}, refusal
	}
	defer func() { <-a.slots }()

	a.metrics.inFlight.Inc()
	defer a.metrics.inFlight.Dec()
	start := time.Now()
	grant, refusal := a.ask(ctx, app, req)
	a.metrics.seconds.WithLabelValues(resultOf(refusal)).Observe(time.Since(start).Seconds())
	return grant, refusal
}

// check refuses what the API need not be asked.
func (a *API) check(req Request) *Refusal {
	if err := protocol.CheckChannel(req.Channel); err != nil {
		return &Refusal{Reason: ReasonBadChannel, Status: http.StatusBadRequest, Message: err.Error()}
	}
	switch kind := protocol.KindOf(req.Channel); {
	case !kind.NeedsAuth():
		return &Refusal{Reason: ReasonBadChannel, Status: http.StatusBadRequest,
			Message: req.Channel + " is a public channel: subscribe to it without asking"}
	case kind == protocol.User:
		return &Refusal{Reason: ReasonBadChannel, Status: http.StatusBadRequest,
			Message: req.Channel + " cannot be subscribed to by name: sign in to get a user's events"}
	case req.SocketID == 0:
		return &Refusal{Reason: ReasonMalformed, Status: http.StatusBadRequest,
			Message: "socket_id is missing or not one of this server: send the id of the client's connection"}
	}
	for _, name := range a.cfg.Headers {
		for _, value := range req.Header.Values(name) {
			if !validHeaderValue(value) {
				return &Refusal{Reason: ReasonMalformed, Status: http.StatusBadRequest,
					Message: "the client's " + name + " holds control characters"}
			}
		}
	}
	return nil
}

// acquire takes a slot; waiters get theirs in the order of their coming.
func (a *API) acquire(ctx context.Context) *Refusal {
	select {
	case a.slots <- struct{}{}:
		return nil
	default:
	}
	a.metrics.waiting.Inc()
	defer a.metrics.waiting.Dec()
	timer := time.NewTimer(a.cfg.MaxWait)
	defer timer.Stop()
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return &Refusal{Reason: ReasonBusy, Status: http.StatusServiceUnavailable,
			Message: "too many clients wait for the API's authorisation: try again"}
	case <-ctx.Done():
		return canceled()
	}
}

func canceled() *Refusal {
	return &Refusal{Reason: ReasonCanceled, Status: statusClientGone, Message: "the client went away before the API had answered"}
}
