package server

import (
	"maps"
	"math"
	"slices"
	"time"

	"broadcastd/channels"
	"broadcastd/internal/config"
	"broadcastd/internal/webhook"
)

// apps are those that are served. They are replaced as a whole.
type apps struct{ byID, byKey map[string]*app }

func newApps(all []*app) *apps {
	set := &apps{make(map[string]*app), make(map[string]*app)}
	for _, a := range all {
		set.byID[a.id], set.byKey[a.settings().Key] = a, a
	}
	return set
}

// app finds one that is served, or nil.
func (s *Server) app(id string) *app { return s.served.Load().byID[id] }

// appOfKey is app by what clients know.
func (s *Server) appOfKey(key string) *app { return s.served.Load().byKey[key] }

// onlyApp is the one that is served, or nil if there are several.
func (s *Server) onlyApp() *app {
	if all := s.served.Load().byID; len(all) == 1 {
		for _, a := range all {
			return a
		}
	}
	return nil
}

// everyApp is those that are served and those that were.
func (s *Server) everyApp() []*app {
	s.retiredMu.Lock()
	defer s.retiredMu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Values(s.served.Load().byID)), maps.Values(s.retired))
}

// shortest is the time after which some app's client is to be pinged or closed first.
func shortest(all []config.App) time.Duration {
	least := time.Duration(math.MaxInt64)
	for _, a := range all {
		least = min(least, a.PingInterval, a.PongTimeout)
	}
	return least
}

// newApp makes an app; only one of a cluster can be without webhooks for ever.
func (s *Server) newApp(c config.App) (*app, error) {
	a := &app{id: c.ID, events: newEventLimit(c.MaxEvents), sources: s.metrics.ofSources(c.ID), users: channels.NewUsers()}
	a.configure(c)
	if s.cluster == nil || len(c.Webhooks) > 0 {
		var err error
		a.hooks, err = webhook.New(webhook.Options{
			App: c.ID, Key: c.Key, Secret: c.Secret, Hooks: hooksOf(c),
			Log: s.log.With("component", "webhook"), Metrics: s.hookMetrics,
		})
		if err != nil {
			return nil, err
		}
	}
	a.hub = channels.NewHub(s.flushers, &s.topics, a.hubOptions(a.observer(s.cluster != nil)))
	if s.cluster != nil {
		s.joinCluster(a, s.cluster)
	}
	return a, nil
}
