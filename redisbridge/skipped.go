package redisbridge

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// skipLog tells of skipped messages without repeating itself: the first of
// each reason at once, then how many more came, at most once in each interval.
// Payloads are never logged.
type skipLog struct {
	log   *slog.Logger
	every time.Duration
	seen  map[*Reason]*skips
}

// skips are those of one reason.
type skips struct {
	logged  time.Time
	held    int // since then
	channel string
	err     error
}

func (l *skipLog) add(reason *Reason, channel string, err error) {
	s := l.seen[reason]
	if s == nil {
		s = &skips{}
		l.seen[reason] = s
	}
	s.held++
	s.channel, s.err = channel, err
	if s.logged.IsZero() {
		l.write(reason, s)
	}
}

// flush writes what was held back for an interval.
func (l *skipLog) flush() {
	for reason, s := range l.seen {
		if s.held > 0 && time.Since(s.logged) >= l.every {
			l.write(reason, s)
		}
	}
}

func (l *skipLog) write(reason *Reason, s *skips) {
	l.log.LogAttrs(context.Background(), slog.LevelWarn, "messages from redis skipped",
		slog.String("reason", reason.Label), slog.Int("count", s.held),
		slog.String("last_channel", fmt.Sprintf("%.60q", s.channel)), slog.Any("err", s.err))
	s.logged, s.held = time.Now(), 0
}
