package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"broadcastd/protocol"
)

// APIConfig says how the API is asked. Timeout, MaxConcurrent and one of the
// endpoints are required.
type APIConfig struct {
	// Endpoint is the URL of the API's channel authorisation, such as
	// http://127.0.0.1:8000/broadcasting/auth, UserEndpoint that of its user
	// authentication, .../broadcasting/user-auth. Where one is empty, its
	// question must not be asked.
	Endpoint, UserEndpoint string
	// Headers are the names of those headers of a client that the API gets to
	// see. User-Agent, when listed, replaces the daemon's own.
	Headers []string
	// Timeout bounds one call, from the connection to the reply's last byte.
	Timeout time.Duration
	// MaxConcurrent bounds the calls under way, of both kinds. Further ones
	// wait, since pusher-js does not repeat what was refused, up to MaxWait.
	MaxConcurrent int
	MaxWait       time.Duration
	// Cache is how long a yes counts for other connections with the same
	// headers; 0: not at all.
	Cache time.Duration
}

// API asks the application who may join a channel, and who a client's user is.
// Its methods may be called concurrently.
type API struct {
	cfg       APIConfig
	transport *http.Transport
	log       *slog.Logger
	metrics   *metrics
	slots     chan struct{} // holds a token per call under way
	waiting   atomic.Int64  // for a slot
	warnings  warnings
	cache     *cache          // nil: none
	ctx       context.Context // of calls that several wait for
	cancel    context.CancelFunc
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
	if cfg.Endpoint != "" || cfg.UserEndpoint == "" {
		if err := checkEndpoint(cfg.Endpoint, askChannel); err != nil {
			return nil, err
		}
	}
	if cfg.UserEndpoint != "" {
		if err := checkEndpoint(cfg.UserEndpoint, askUser); err != nil {
			return nil, err
		}
	}
	switch {
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
	a := &API{
		cfg:       cfg,
		transport: newTransport(cfg),
		log:       log,
		metrics:   newMetrics(reg),
		slots:     make(chan struct{}, cfg.MaxConcurrent),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if cfg.Cache > 0 {
		a.cache = newCache(cfg.Cache)
	}
	return a, nil
}

// checkEndpoint never quotes the URL, which could hold a password.
func checkEndpoint(text string, k *kind) error {
	endpoint, err := url.Parse(text)
	switch {
	case err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https":
		return errors.New(k.key + " is not an http or https URL such as http://127.0.0.1:8000" + k.route)
	case endpoint.User != nil:
		return errors.New(k.key + " holds a user name: take it out, the API is asked with the client's own credentials")
	}
	return nil
}

// Close drops the idle connections to the API, and calls that several wait for.
// Others end by their own context.
func (a *API) Close() {
	a.cancel()
	a.transport.CloseIdleConnections()
}

// Authorize asks whether the client may join the channel, unless the answer is
// kept, and returns the signed yes. It waits for a free slot and for the API; ctx
// ends both. The error is a *[Refusal].
func (a *API) Authorize(ctx context.Context, app Credentials, req Request) (Grant, error) {
	if a.cache == nil || req.question().check(a.cfg.Headers) != nil { // the latter is refused
		return a.authorize(ctx, app, req)
	}
	return a.authorizeCached(ctx, app, req)
}

// AuthorizeAgain asks as Authorize does, also where the answer is kept.
func (a *API) AuthorizeAgain(ctx context.Context, app Credentials, req Request) (Grant, error) {
	grant, err := a.authorize(ctx, app, req)
	if a.cache != nil && IsNo(err) {
		a.cache.drop(a.keyOf(app, req))
	}
	return grant, err
}

func (a *API) authorize(ctx context.Context, app Credentials, req Request) (Grant, error) {
	var grant Grant
	err := a.ask(ctx, req.question(), func(body []byte) (refusal *Refusal) {
		grant, refusal = req.grant(app, body)
		return refusal
	})
	return grant, err
}

func (r Request) question() question {
	return question{kind: askChannel, socketID: r.SocketID, channel: r.Channel, header: r.Header}
}
