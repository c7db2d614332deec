package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"broadcastd/internal/config"
	"broadcastd/internal/webhook"
	"broadcastd/protocol"
)

// newWebhooks starts an app's webhooks; nil when it has none.
func newWebhooks(a config.App, m *webhook.Metrics, log *slog.Logger) (*webhook.Sender, error) {
	if len(a.Webhooks) == 0 {
		return nil, nil
	}
	o := webhook.Options{
		App: a.ID, Key: a.Key, Secret: a.Secret,
		Log: log.With("component", "webhook"), Metrics: m,
	}
	for _, w := range a.Webhooks {
		o.Hooks = append(o.Hooks, webhook.Hook{
			URL: w.URL, Headers: w.Headers, Events: w.Events,
			Prefix: w.ChannelPrefix, Suffix: w.ChannelSuffix,
		})
	}
	return webhook.New(o)
}

// tellClientEvent tells the app's webhooks of a whisper.
func (a *app) tellClientEvent(e *protocol.Event) {
	if a.hooks != nil {
		a.hooks.ClientEvent(e)
	}
}

// endWebhooks sends what is queued until ctx ends. The sessions are over: what
// their ends caused is told too.
func (s *Server) endWebhooks(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make(chan error, len(s.apps))
	for _, a := range s.apps {
		if a.hooks != nil {
			all.Go(func() { errs <- a.hooks.Shutdown(ctx) })
		}
	}
	all.Wait()
	close(errs)
	var joined error
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}
