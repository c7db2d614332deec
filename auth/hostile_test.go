package auth

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// raw answers each connection, once its request is read, with bytes of its
// own, and closes it.
func raw(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			answer(conn)
			conn.Close()
		}
	}()
	return "http://" + listener.Addr().String() + "/broadcasting/auth"
}

func says(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// closedPort is an address that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// TestHostileAPI asks APIs that are down, slow, lying or broken. All that can
// give the client's token back do so; it must not turn up in anything that the
// daemon says.
func TestHostileAPI(t *testing.T) {
	const short = 100 * time.Millisecond
	hang := func(r *http.Request) { <-r.Context().Done() }
	tests := map[string]struct {
		url     string
		handler http.HandlerFunc
		timeout time.Duration
		want    string
		status  int
	}{
		"hangs": {handler: func(_ http.ResponseWriter, r *http.Request) { hang(r) }, timeout: short, want: ReasonTimeout, status: 504},
		"hangs after its head": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			hang(r)
		}, timeout: short, want: ReasonTimeout, status: 504},
		"hangs after true": {handler: func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, "true")
			w.(http.Flusher).Flush()
			hang(r)
		}, timeout: short, want: ReasonTimeout, status: 504},
		"drips": {handler: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		}, timeout: short, want: ReasonTimeout, status: 504},
		"drips a no": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			w.(http.Flusher).Flush()
			hang(r)
		}, timeout: 10 * short, want: ReasonForbidden, status: 403},
		"100 MB": {handler: func(w http.ResponseWriter, _ *http.Request) {
			part := []byte(strings.Repeat(" ", 1<<20))
			for range 100 {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
			_, _ = io.WriteString(w, "true")
		}, want: ReasonTooLarge, status: 502},
		"100 MB with a no": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			part := []byte(strings.Repeat(" ", 1<<20))
			for range 100 {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		}, want: ReasonServerError, status: 500},
		"just too long":     {handler: replies(strings.Repeat(" ", maxReply-3) + "true"), want: ReasonTooLarge, status: 502},
		"as long as it may": {handler: replies(strings.Repeat(" ", maxReply-4) + "true"), want: resultOK},
		"not gzip": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answer(w, http.StatusOK, "\x1f\x8b\x08\x00garbage")
		}, want: ReasonBadReply, status: 502},
		"redirects": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/yes?"+r.Header.Get("Authorization"), http.StatusFound)
		}, want: ReasonRedirect, status: 401},
		"redirects for good": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/yes", http.StatusPermanentRedirect)
		}, want: ReasonRedirect, status: 401},
		"echoes": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			answer(w, http.StatusOK, fmt.Sprintf(`{"message":%q}`, r.Header.Get("Authorization")))
		}, want: ReasonBadReply, status: 502},
		"echoes in a member": {handler: func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, fmt.Sprintf(`{"channel_data":{"user_id":[%q]}}`, r.Header.Get("Authorization")))
		}, want: ReasonNoMember, status: 502},
		"echoes as auth": {handler: func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, fmt.Sprintf(`{"auth":%q}`, r.Header.Get("Authorization")+":00"))
		}, want: ReasonBadSignature, status: 502},
		"echoes in an error": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusInternalServerError)
		}, want: ReasonServerError, status: 500},
		"201":             {handler: func(w http.ResponseWriter, _ *http.Request) { answer(w, 201, "true") }, want: ReasonBadReply, status: 502},
		"204":             {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, want: ReasonBadReply, status: 502},
		"404":             {handler: http.NotFound, want: ReasonClientError, status: 404},
		"419":             {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(419) }, want: ReasonClientError, status: 419},
		"422":             {handler: func(w http.ResponseWriter, _ *http.Request) { answer(w, 422, "true") }, want: ReasonClientError, status: 422},
		"599":             {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, want: ReasonServerError, status: 599},
		"status 999":      {url: raw(t, says("HTTP/1.1 999 x\r\nContent-Length: 4\r\n\r\ntrue")), want: ReasonBadReply, status: 502},
		"101":             {url: raw(t, says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\ntrue")), want: ReasonBadReply, status: 502},
		"nobody listens":  {url: "http://" + closedPort(t), want: ReasonUnreachable, status: 502},
		"closes":          {url: raw(t, says("")), want: ReasonUnreachable, status: 502},
		"closes midway":   {url: raw(t, says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntrue")), want: ReasonUnreachable, status: 502},
		"chunk cut off":   {url: raw(t, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n")), want: ReasonUnreachable, status: 502},
		"bad chunk":       {url: raw(t, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+token+"\r\n")), want: ReasonUnreachable, status: 502},
		"not HTTP":        {url: raw(t, says(token+"\r\n\r\n")), want: ReasonUnreachable, status: 502},
		"a bad header":    {url: raw(t, says("HTTP/1.1 200 OK\r\n"+token+"\r\n\r\ntrue")), want: ReasonUnreachable, status: 502},
		"an endless head": {url: raw(t, says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("a", 1<<20)+"\r\n\r\ntrue")), want: ReasonUnreachable, status: 502},
		"resets": {url: raw(t, func(conn net.Conn) {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}), want: ReasonUnreachable, status: 502},
		"does not speak TLS": {url: strings.Replace(raw(t, says("HTTP/1.1 400 Bad Request\r\n\r\n")), "http:", "https:", 1), want: ReasonUnreachable, status: 502},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			url := tt.url
			if tt.handler != nil {
				url = serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/yes" {
						t.Error("the redirect was followed")
					}
					_ = r.ParseForm() // reads the body, so that the end of the connection is noticed
					tt.handler(w, r)
				}).URL
			}
			a := newAsker(t, url, func(c *APIConfig) {
				if tt.timeout != 0 {
					c.Timeout = tt.timeout
				}
			})
			_, err := a.authorize(t, channel)
			if got := reasonOf(t, err); got != tt.want {
				t.Fatalf("%s, want %s (%v)\n%s", got, tt.want, err, a.log)
			}
			if err != nil && refusal(t, err).Status != tt.status {
				t.Errorf("status %d, want %d", refusal(t, err).Status, tt.status)
			}
			if n := a.value(t, "broadcastd_auth_requests_total", tt.want); n != 1 {
				t.Errorf("%v counted as %s, want 1", n, tt.want)
			}
			if len(a.slots) != 0 {
				t.Error("the slot is still taken")
			}
			checkNoToken(t, a, err)
		})
	}
}

// checkNoToken demands that neither error, log nor metrics hold the token or
// the app's secret.
func checkNoToken(t *testing.T, a *asker, err error) {
	t.Helper()
	families, gatherErr := a.reg.Gather()
	if gatherErr != nil {
		t.Fatal(gatherErr)
	}
	for where, text := range map[string]string{
		"error":   fmt.Sprintf("%v %+v", err, err),
		"log":     a.log.String(),
		"metrics": fmt.Sprint(families),
	} {
		for _, secret := range []string{"token-client-7", appSecret} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds %s: %s", where, secret, text)
			}
		}
	}
}

func TestAuthorizeVerifiesCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(replies("true"))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	a := newAsker(t, server.URL, nil)
	_, err := a.authorize(t, channel)
	if got := reasonOf(t, err); got != ReasonUnreachable {
		t.Errorf("%s, want %s (%v)", got, ReasonUnreachable, err)
	}
	if !strings.Contains(a.log.String(), "certificate") {
		t.Errorf("the log does not name the certificate: %s", a.log)
	}
}

// TestAuthorizeIgnoresProxies guards the clients' tokens.
func TestAuthorizeIgnoresProxies(t *testing.T) {
	a := newAsker(t, "http://"+closedPort(t), nil)
	if a.transport.Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

func TestAuthorizeWithADeadContext(t *testing.T) {
	server := serve(t, replies("true"))
	a := newAsker(t, server.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Authorize(ctx, app, Request{SocketID: 1, Channel: channel})
	if got := reasonOf(t, err); got != ReasonCanceled {
		t.Errorf("%s, want %s", got, ReasonCanceled)
	}
}
