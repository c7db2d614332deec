package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// requestTimeout bounds one request, from the connection to the answer's
	// end.
	requestTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that the connection can
	// be used again, and of its headers, in bytes.
	maxAnswer = 64 << 10
	// idleTimeout is shorter than the 75 s after which nginx closes an idle
	// connection, so that mostly this side does.
	idleTimeout = 60 * time.Second
)

// newTransport makes a client of receivers: HTTP/1.1, since a hook has one
// request under way at a time, and certificates verified. Receivers can be
// anywhere, so HTTPS_PROXY and NO_PROXY count.
func newTransport() *http.Transport {
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: requestTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    requestTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswer,
		DisableCompression:     true,
		Protocols:              http1,
	}
}

// post makes one request; result is how metrics name its outcome. RoundTrip
// instead of an http.Client: it follows no redirect, keeps no cookies and puts
// no URL into its errors.
func (h *hook) post(ctx context.Context, body []byte) (result string, err error) {
	callCtx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := h.transport.RoundTrip(h.request(callCtx, body))
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return resultCanceled, errors.New("canceled by the shutdown")
	case callCtx.Err() != nil || isTimeout(err):
		return resultTimeout, fmt.Errorf("no answer within %s", requestTimeout)
	default:
		return resultUnreachable, errors.New(causeOf(err))
	}
	defer res.Body.Close()
	// A body read to its end leaves the connection fit for the next request;
	// what it says, or that it breaks off, changes nothing.
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	switch status := res.StatusCode; {
	case status/100 == 3:
		return resultRefused, fmt.Errorf("the receiver answered %d; redirects are not followed, so configure the final URL", status)
	case status/100 != 2:
		return resultRefused, fmt.Errorf("the receiver answered %d", status)
	}
	return resultOK, nil
}

func (h *hook) request(ctx context.Context, body []byte) *http.Request {
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           h.url,
		Host:          h.url.Host,
		Header:        h.header.Clone(),
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		ContentLength: int64(len(body)),
	}).WithContext(ctx)
	mac := hmac.New(sha256.New, []byte(h.secret))
	mac.Write(body)
	req.Header.Set("X-Pusher-Signature", hex.EncodeToString(mac.Sum(nil)))
	return req
}

// newHeader is what all requests of a hook have in common. A user in the URL
// becomes basic authentication, as in browsers.
func (h *hook) newHeader(key string, configured map[string]string) http.Header {
	header := http.Header{"User-Agent": {"broadcastd"}}
	if u := h.url.User; u != nil {
		password, _ := u.Password()
		req := http.Request{Header: header}
		req.SetBasicAuth(u.Username(), password)
	}
	for name, value := range configured {
		header.Set(name, value)
	}
	header.Set("Content-Type", "application/json")
	header.Set("X-Pusher-Key", key)
	// Empty and therefore not sent: it tells net/http that a request may be
	// repeated when a kept connection turns out to be closed.
	header["Idempotency-Key"] = nil
	return header
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// causeOf describes an error without its text where that could quote the
// answer, and with it a secret that the receiver sent back.
func causeOf(err error) string {
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the URL begins with https, but what answers does not speak TLS"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before there was an answer"
	}
	return "the answer is not valid HTTP"
}
