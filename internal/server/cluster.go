package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"broadcastd/channels"
	"broadcastd/internal/webhook"
	"broadcastd/protocol"
)

// This file is all that differs between a node of a cluster and a daemon by
// itself, which has no channels.Cluster. What a client does is told to the
// cluster, and done here when the cluster says so; what an API asks, the cluster
// answers.

// clusterTime is how long a request of the HTTP API, or the end of the daemon,
// waits for the cluster.
const clusterTime = 3 * time.Second

// joinCluster makes the app's channels part of a cluster's.
func (s *Server) joinCluster(a *app, join func(channels.Node) channels.Cluster) {
	c := a.settings() // what the cluster takes of them needs a restart
	n := channels.Node{
		App: a.id, Hub: a.hub, Users: a.users,
		MaxMembers: c.MaxPresenceMembers, MaxEventSize: c.MaxEventSize, SubscriptionCount: c.SubscriptionCount,
		Deliver: func(e *protocol.Event, fresh bool) {
			defer s.recovered(placeEvent, func() {}) // the log goes on
			if fresh {
				s.publish(SourceStream, a, e, time.Now())
				return
			}
			s.flushers.Wait()
			s.deliver(a, e, time.Now())
		},
		Terminate: a.present.terminate,
	}
	if a.hooks != nil {
		n.Hooks = tellable{a.hooks}
	}
	a.cluster = join(n)
}

// tellable are an app's webhooks, as a cluster sees them.
type tellable struct{ sender *webhook.Sender }

func (t tellable) Telling(id string, may func() bool, done func()) channels.Observer {
	return t.sender.Telling(id, may, done)
}

// observer hears of the app's channels from its hub, which in a cluster knows of
// nothing else than a cache channel that had nothing to give.
func (a *app) observer(clustered bool) channels.Observer {
	switch {
	case clustered:
		return misses{channels.Nobody, a}
	case a.hooks != nil:
		return a.hooks
	}
	return nil
}

type misses struct {
	channels.Observer // nobody
	app               *app
}

func (m misses) CacheMissed(channel string) { m.app.cluster.CacheMissed(channel) }

// arriveInCluster counts a connection in the cluster too. n is how many count
// against the app's limit: those of this node or, if so configured and as long as
// that can be known, all.
func (s *Server) arriveInCluster(ctx context.Context, a *app, n int) (leave func(), total int) {
	leave = a.cluster.Connect().Leave
	if max := a.settings().MaxConnections; !s.cfg.Scaling.ClusterLimits || max == 0 || n > max {
		return leave, n
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTime)
	defer cancel()
	if total, err := a.cluster.Connections(ctx); err == nil {
		return leave, total
	}
	return leave, n
}

// enter lets the client into a channel: at once, or pending until the cluster
// has counted it. ses.mu must be held.
func (ses *session) enter(channel string, sub *subscription) {
	a := ses.app
	if a.cluster == nil {
		if err := a.hub.Subscribe(ses.conn, channel, sub.member); err != nil {
			ses.refuseEntry(channel, sub, err)
			return
		}
		ses.put(channel, sub)
		return
	}
	sub.pending = true
	ses.put(channel, sub)
	sub.leave = a.cluster.Join(channel, sub.member, func(presence []byte, err error) {
		ses.mu.Lock()
		defer ses.mu.Unlock()
		switch {
		case ses.subscriptions[channel] != sub: // has left meanwhile, or is gone
		case err != nil:
			ses.refuseEntry(channel, sub, err)
		default:
			sub.pending = false
			a.hub.Enter(ses.conn, channel, presence)
		}
	}).Leave
}

// reenter answers a client again that is in a channel. ses.mu must be held.
func (ses *session) reenter(channel string) {
	a := ses.app
	switch {
	case a.cluster == nil:
		a.hub.Resubscribe(ses.conn, channel)
	case protocol.KindOf(channel).IsPresence():
		a.hub.Reenter(ses.conn, channel, func() []byte { return a.cluster.Roster(channel) })
	default:
		a.hub.Reenter(ses.conn, channel, func() []byte { return nil })
	}
}

// exit ends what enter began. ses.mu must be held.
func (ses *session) exit(channel string, sub *subscription) {
	if ses.app.cluster == nil {
		ses.app.hub.Unsubscribe(ses.conn, channel, sub.member)
		return
	}
	if !sub.pending {
		ses.app.hub.Exit(ses.conn, channel)
	}
	sub.leave()
}

// enterUser makes the client's user one who is signed in and watches others.
// ses.mu must be held.
func (ses *session) enterUser(u *user) {
	a := ses.app
	if a.cluster == nil {
		a.users.Enter(ses.conn, u.id, u.watchlist)
		return
	}
	u.leave = a.cluster.SignIn(u.id).Leave
	if len(u.watchlist) == 0 {
		return
	}
	a.cluster.Online(u.watchlist, func(asked, online []string) {
		ses.mu.Lock()
		defer ses.mu.Unlock()
		if ses.user == u {
			a.users.Watch(ses.conn, asked, online)
		}
	})
}

// exitUser ends what enterUser began. ses.mu must be held.
func (ses *session) exitUser(u *user) {
	a := ses.app
	if a.cluster == nil {
		a.users.Exit(ses.conn, u.id, u.watchlist)
		return
	}
	a.users.Unwatch(ses.conn, u.watchlist)
	u.leave()
}

// whisper publishes a client event. Of a cluster one node tells webhooks.
func (ses *session) whisper(e *protocol.Event) {
	a := ses.app
	if a.cluster == nil {
		ses.server.publish(SourceClient, a, e, time.Now())
		if a.hooks != nil {
			a.hooks.ClientEvent(e)
		}
		return
	}
	a.cluster.Whisper(e)
	a.sources[SourceClient].events.Inc()
}

// publishAll publishes what the HTTP API was given. In a cluster the events are
// kept when it returns nil, and counted here; each node delivers them.
func (s *Server) publishAll(a *app, events []protocol.Event, received time.Time) error {
	if a.cluster == nil {
		for i := range events {
			s.publish(SourceHTTP, a, &events[i], received)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, clusterTime)
	defer cancel()
	err := a.cluster.Publish(ctx, events)
	if err != nil {
		return s.unavailable(err,
			"none of the events was kept, since the cluster's Redis is away; send the request again",
			"the cluster's Redis didn't confirm the events; they may have been published")
	}
	for i := range events {
		s.checkPlain(SourceHTTP, a, &events[i])
	}
	a.sources[SourceHTTP].events.Add(float64(len(events)))
	return nil
}

// kept says that the hub has an event that did not come by way of the cluster.
func (a *app) kept(e *protocol.Event) {
	if a.cluster != nil && protocol.KindOf(e.Channel).IsCache() {
		a.cluster.Kept(e.Channel)
	}
}

// terminateUser closes a user's connections, wherever they are.
func (s *Server) terminateUser(a *app, id string) error {
	if a.cluster == nil {
		a.present.terminate(id)
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, clusterTime)
	defer cancel()
	return s.unavailable(a.cluster.Terminate(ctx, id),
		"no connection was closed, since the cluster's Redis is away; send the request again",
		"the cluster's Redis didn't confirm the request; the user's connections may have been closed")
}

// The following tell of an app's channels, of the whole cluster if there is one.

func (s *Server) info(a *app, channel string) (channels.Info, error) {
	if a.cluster == nil {
		return a.hub.Info(channel), nil
	}
	return asked(s, func(ctx context.Context) (channels.Info, error) { return a.cluster.Info(ctx, channel) })
}

func (s *Server) occupied(a *app, prefix string) (map[string]channels.Info, error) {
	if a.cluster == nil {
		return a.hub.Occupied(prefix), nil
	}
	return asked(s, func(ctx context.Context) (map[string]channels.Info, error) { return a.cluster.Occupied(ctx, prefix) })
}

func (s *Server) members(a *app, channel string) ([]string, error) {
	if a.cluster == nil {
		return a.hub.Users(channel), nil
	}
	return asked(s, func(ctx context.Context) ([]string, error) { return a.cluster.Users(ctx, channel) })
}

func (s *Server) connections(a *app) (int, error) {
	if a.cluster == nil {
		return int(a.connections.Load()), nil
	}
	return asked(s, a.cluster.Connections)
}

// asked asks a cluster.
func asked[T any](s *Server, question func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(s.ctx, clusterTime)
	defer cancel()
	answer, err := question(ctx)
	return answer, s.unavailable(err,
		"the cluster's Redis is away; ask again later", "the cluster's Redis gave no answer; ask again later")
}

// unavailable is the answer when a cluster cannot do what it was asked to: it is
// known that nothing was done, or it isn't.
func (s *Server) unavailable(err error, away, unsure string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, channels.ErrAway):
		return &apiError{http.StatusServiceUnavailable, "cluster_away", away}
	}
	if s.seldom.due("unsure") {
		s.log.Warn("a request of the HTTP API failed, since the cluster's Redis gave no good answer; further ones within a minute are only counted", "err", err)
	}
	return &apiError{http.StatusServiceUnavailable, "cluster_unsure", unsure}
}

// leaveClusters waits, once, until the apps' clusters have heard what the end of the
// sessions caused. These are over.
func (s *Server) leaveClusters(ctx context.Context) (err error) {
	s.leaving.Do(func() {
		ctx, cancel := beforeDeadline(ctx) // webhooks end later
		defer cancel()
		ctx, cancel = context.WithTimeout(ctx, clusterTime)
		defer cancel()
		err = forEach(s.everyApp(), func(a *app) error {
			if a.cluster == nil {
				return nil
			}
			if err := a.cluster.Settle(ctx); err != nil {
				return fmt.Errorf("the other nodes of app %s may hear of the last departures only when the lease has run out: %w", a.id, err)
			}
			return nil
		})
	})
	return err
}

// forEach calls f with all apps at the same time, and joins the errors.
func forEach(apps []*app, f func(*app) error) (joined error) {
	var all sync.WaitGroup
	errs := make(chan error, len(apps))
	for _, a := range apps {
		all.Go(func() { errs <- f(a) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}
