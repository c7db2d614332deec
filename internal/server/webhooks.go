package server

import (
	"context"

	"broadcastd/internal/config"
	"broadcastd/internal/webhook"
)

// hooksOf are an app's webhooks.
func hooksOf(a config.App) (hooks []webhook.Hook) {
	for _, w := range a.Webhooks {
		hooks = append(hooks, webhook.Hook{
			URL: w.URL, Headers: w.Headers, Events: w.Events,
			Prefix: w.ChannelPrefix, Suffix: w.ChannelSuffix,
		})
	}
	return hooks
}

// endWebhooks sends what is queued until ctx ends. The sessions are over: what
// their ends caused is told too.
func (s *Server) endWebhooks(ctx context.Context) error {
	return forEach(s.everyApp(), func(a *app) error {
		if a.hooks == nil {
			return nil
		}
		return a.hooks.Shutdown(ctx)
	})
}
