package server

import (
	"context"
	"log/slog"

	"broadcastd/internal/config"
	"broadcastd/internal/webhook"
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

// endWebhooks sends what is queued until ctx ends. The sessions are over: what
// their ends caused is told too.
func (s *Server) endWebhooks(ctx context.Context) error {
	return forEach(s.apps, func(a *app) error {
		if a.hooks == nil {
			return nil
		}
		return a.hooks.Shutdown(ctx)
	})
}
