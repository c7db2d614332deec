package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxReply bounds the API's reply, user_info included, in bytes.
const maxReply = 64 << 10

// idleTimeout is shorter than the 75 s after which nginx closes an idle
// connection, so that mostly this side does.
const idleTimeout = 60 * time.Second

// newTransport makes a client of the API: HTTP/1.1, certificates verified,
// idle connections kept for as many calls as may be under way. It ignores
// HTTP_PROXY, since the API is the daemon's neighbour and a proxy would see
// every client's token.
func newTransport(cfg APIConfig) *http.Transport {
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    cfg.Timeout,
		MaxIdleConns:           cfg.MaxConcurrent,
		MaxIdleConnsPerHost:    cfg.MaxConcurrent,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxReply,
		DisableCompression:     true,
		Protocols:              http1,
	}
}

// call makes one call and returns the body of a 200 reply. RoundTrip instead of
// an http.Client: it follows no redirect, keeps no cookies and puts no URL into
// its errors.
func (a *API) call(ctx context.Context, q question) ([]byte, *Refusal) {
	callCtx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	out, err := a.newRequest(callCtx, q)
	if err != nil {
		return nil, failed(ctx, err)
	}
	res, err := a.transport.RoundTrip(out)
	if err != nil {
		return nil, failed(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		// A body read to its end leaves the connection fit for the next call;
		// what it says, or that it breaks off, changes nothing.
		_, _ = io.CopyN(io.Discard, res.Body, maxReply)
		return nil, q.refusedBy(res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, failed(ctx, err)
	case len(body) > maxReply:
		return nil, unusable(ReasonTooLarge, fmt.Sprintf("the API's reply is longer than %d KiB: shorten what %s returns", maxReply>>10, q.yes))
	}
	return body, nil
}

func (a *API) newRequest(ctx context.Context, q question) (*http.Request, error) {
	endpoint := a.cfg.Endpoint
	if q.kind == askUser {
		endpoint = a.cfg.UserEndpoint
	}
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(q.form().Encode()))
	if err != nil {
		return nil, err
	}
	out.Header.Set("User-Agent", "broadcastd")
	for _, name := range a.cfg.Headers {
		if values := q.header.Values(name); len(values) > 0 {
			out.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	// Both make Laravel answer in JSON instead of redirecting to a login page.
	out.Header.Set("Accept", "application/json")
	out.Header.Set("X-Requested-With", "XMLHttpRequest")
	out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Empty and therefore not sent: it tells net/http that the call may be
	// repeated when a kept connection turns out to be closed.
	out.Header["Idempotency-Key"] = nil
	return out, nil
}

// failed refuses since there was no whole reply. ctx is the caller's.
func failed(ctx context.Context, err error) *Refusal {
	if errors.Is(ctx.Err(), context.Canceled) {
		return canceled()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &Refusal{Reason: ReasonTimeout, Status: http.StatusGatewayTimeout,
			Message: "the API did not answer in time"}
	}
	refusal := unusable(ReasonUnreachable, "the API cannot be reached, or broke off its reply")
	refusal.cause = causeOf(err)
	return refusal
}

// causeOf describes an error without its text where that could quote the
// reply, and with it a token.
func causeOf(err error) string {
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the endpoint begins with https, but what answers does not speak TLS"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the end of the reply"
	}
	return "the reply is not valid HTTP"
}

// refusedBy refuses by the API's status, which the client gets to see as it
// is, but for those that are neither a yes nor a no.
func (q question) refusedBy(status int) *Refusal {
	answered := fmt.Sprintf("the API answered %d", status)
	switch {
	case status == http.StatusUnauthorized:
		return &Refusal{Reason: ReasonUnauthorized, Status: status,
			Message: "the API does not know this client: its token or session is missing or no longer valid"}
	case status == http.StatusForbidden:
		return &Refusal{Reason: ReasonForbidden, Status: status, Message: "the API does not let this client " + q.wish()}
	case status >= 600:
		return unusable(ReasonBadReply, answered+", which is no HTTP status")
	case status >= 500:
		return &Refusal{Reason: ReasonServerError, Status: status, Message: answered + ": see its log"}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return &Refusal{Reason: ReasonClientError, Status: status, Message: answered + ": is " + q.key + " the URL of its " + q.route + "?"}
	case status == 419:
		return &Refusal{Reason: ReasonClientError, Status: status,
			Message: answered + " (page expired): leave its " + q.route + " out of the CSRF check, or pass X-CSRF-TOKEN on by auth.headers"}
	case status == http.StatusTooManyRequests:
		return &Refusal{Reason: ReasonClientError, Status: status, Message: answered + " (too many requests): raise its throttle for " + q.route}
	case status >= 400:
		return &Refusal{Reason: ReasonClientError, Status: status, Message: answered}
	case status >= 300:
		return &Refusal{Reason: ReasonRedirect, Status: http.StatusUnauthorized,
			Message: fmt.Sprintf("the API redirected (%d) instead of answering, most likely to its login page: the client's token or session is missing, or %s is not the final URL", status, q.key)}
	}
	return unusable(ReasonBadReply, answered+": only 200 can be a yes")
}

// unpassable are the headers that the daemon sets itself or that belong to
// one connection only.
var unpassable = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect",
	"Host", "Idempotency-Key", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Requested-With",
}

func checkHeaderName(name string) error {
	for i := range len(name) {
		if c := name[i] | 0x20; (c < 'a' || c > 'z') && (name[i] < '0' || name[i] > '9') && name[i] != '-' && name[i] != '_' {
			return fmt.Errorf("auth.headers has %.60q in it, which is not the name of a header", name)
		}
	}
	if name == "" || slices.Contains(unpassable, http.CanonicalHeaderKey(name)) {
		return fmt.Errorf("auth.headers has %.60q in it, which cannot be passed on: take it out", name)
	}
	return nil
}

// validHeaderValue guards values that did not come as a header, such as a
// token in a URL.
func validHeaderValue(value string) bool {
	return !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
