package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"broadcastd/auth"
)

// BenchmarkPostEvents is a signed event over a connection that stays open, to
// a channel with one subscriber, from the request's first byte to the last of
// the answer. What the publisher does is next to nothing.
func BenchmarkPostEvents(b *testing.B) {
	d := start(b)
	d.connect(b).subscribe("jobs.42")
	conn, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	body := mustJSON(b, map[string]any{
		"name": "job.updated", "channels": []string{"jobs.42"}, "data": `{"id":42,"status":"` + string(bytes.Repeat([]byte("x"), 150)) + `"}`,
	})
	query := auth.SignRequest(http.MethodPost, eventsPath, nil, body, appKey, appSecret, time.Now())
	request := fmt.Appendf(nil, "POST %s?%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: GuzzleHttp/7\r\nContent-Type: application/json\r\nX-Pusher-Library: pusher-http-php 7.2.7\r\nContent-Length: %d\r\n\r\n%s",
		eventsPath, query, d.Addr(), len(body), body)
	answers := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for line := []byte(nil); !bytes.Equal(line, []byte("\r\n")); {
			if line, err = answers.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := answers.Discard(len(`{}`)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if n := d.metric(b, `broadcastd_http_requests_total{code="200",route="events"}`); n < float64(b.N) {
		b.Errorf("%g requests succeeded, %d were sent", n, b.N)
	}
}

// discard is an answer that goes nowhere.
type discard struct {
	header http.Header
	status int
}

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) WriteHeader(status int)      { w.status = status }
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPostEventsHandler is the same without net/http's server: what is
// ours of it.
func BenchmarkPostEventsHandler(b *testing.B) {
	d := start(b)
	d.connect(b).subscribe("jobs.42")
	body := mustJSON(b, map[string]any{
		"name": "job.updated", "channels": []string{"jobs.42"}, "data": `{"id":42,"status":"` + string(bytes.Repeat([]byte("x"), 150)) + `"}`,
	})
	query := auth.SignRequest(http.MethodPost, eventsPath, nil, body, appKey, appSecret, time.Now())
	target, err := url.Parse(eventsPath + "?" + query)
	if err != nil {
		b.Fatal(err)
	}
	handler := d.Handler()
	text := bytes.NewReader(body)
	w := &discard{}
	b.ReportAllocs()
	for b.Loop() {
		text.Reset(body)
		*w = discard{header: http.Header{}}
		handler.ServeHTTP(w, &http.Request{
			Method: http.MethodPost, URL: target, Body: io.NopCloser(text), ContentLength: int64(len(body)), Header: http.Header{},
		})
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}
