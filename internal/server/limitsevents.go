package server

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/time/rate"
)

// newEventLimit is an app's limit on events of the HTTP API, of which nothing is spent.
func newEventLimit(perSecond int) *rate.Limiter { return rate.NewLimiter(eventLimit(perSecond)) }

// setEventLimit changes it.
func setEventLimit(l *rate.Limiter, perSecond int) {
	limit, burst := eventLimit(perSecond)
	l.SetBurst(burst)
	l.SetLimit(limit)
}

// eventLimit is for so many events a second; 0: there is none. What one request may
// have always fits, sooner or later.
func eventLimit(perSecond int) (limit rate.Limit, burst int) {
	if limit = rate.Limit(perSecond); perSecond == 0 {
		limit = rate.Inf
	}
	return limit, max(perSecond, maxChannels)
}

// spend counts n events of a request, which are published together or, if that
// is too many by now, not at all.
func (s *Server) spend(c call, n int) error {
	now, l := time.Now(), c.app.events
	if l.AllowN(now, n) {
		return nil
	}
	s.metrics.refusedEvents.WithLabelValues(c.app.id).Add(float64(n))
	missing := float64(n) - l.TokensAt(now)
	seconds := max(1, int(math.Ceil(missing/float64(l.Limit()))))
	c.header.Set("Retry-After", strconv.Itoa(seconds))
	return &apiError{http.StatusTooManyRequests, "rate_limit", fmt.Sprintf(
		"the app may publish %d events a second, each counted once for each of its channels; try again in %d s (key app.max_events_per_second)",
		int(l.Limit()), seconds)}
}
