package server

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
)

// httpLog takes what net/http logs. A TLS handshake that fails is for debugging only:
// any stranger can cause as many as they like.
type httpLog struct{ log *slog.Logger }

func (l httpLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.Contains(line, []byte("TLS handshake error")) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "the HTTP server complains", "err", strings.TrimSpace(string(line)))
	return len(line), nil
}
