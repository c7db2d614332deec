package server

import (
	"errors"
	"net/http"
	"reflect"
	"strings"

	"broadcastd/internal/config"
	"broadcastd/internal/socket"
)

// Reload reads the configuration anew and applies what doesn't need a restart. Its
// error means that nothing has changed. The log has either.
func (s *Server) Reload() (config.Changes, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	changes, err := s.reload()
	if err != nil {
		s.metrics.reloads.WithLabelValues("failed").Inc()
		s.log.Error("the configuration was not reloaded, and nothing has changed", "err", err)
		return changes, err
	}
	s.metrics.reloads.WithLabelValues("ok").Inc()
	s.metrics.configLoaded.SetToCurrentTime()
	s.log.Info("the configuration was reloaded", "applied", strings.Join(changes.Applied, ", "))
	if len(changes.Restart) > 0 {
		s.log.Warn("a part of the configuration needs a restart", "keys", strings.Join(changes.Restart, ", "))
	}
	return changes, nil
}

func (s *Server) reload() (changes config.Changes, err error) {
	switch {
	case s.load == nil:
		return changes, errors.New("there is no configuration to read again")
	case s.leavingSoon.Load() || s.ended():
		return changes, errors.New("the server is shutting down")
	}
	loaded, err := s.load()
	if err != nil {
		return changes, err
	}
	next, changes, err := config.Reload(*s.config(), loaded)
	if err != nil {
		return changes, err
	}
	var cert *certificate
	if s.certs != nil {
		if cert, err = readCertificate(next.TLS); err != nil {
			return changes, err
		}
	}
	if err := s.limits.set(&next); err != nil {
		return changes, err
	}
	if err := s.serve(next.Apps); err != nil {
		return changes, err
	}
	if cert != nil {
		s.certs.replace(cert)
	}
	if s.logLevel != nil {
		s.logLevel.Set(next.LogLevel())
	}
	s.current.Store(&next)
	return changes, nil
}

// serve makes these the apps, by their ids. Nothing is done if one can't be made.
func (s *Server) serve(all []config.App) error {
	before, next := s.served.Load().byID, make([]*app, 0, len(all))
	for _, c := range all {
		a := before[c.ID]
		if a == nil {
			a = s.formerApp(c.ID)
		}
		if a == nil {
			var err error
			if a, err = s.newApp(c); err != nil {
				return err
			}
			a.gone.Store(true)
			s.retire(a) // so that it ends, whatever comes
		}
		next = append(next, a)
	}
	for i, c := range all {
		if err := next[i].reconfigure(c); err != nil {
			return err
		}
	}
	s.flushers.Shorten(shortest(all))
	served := newApps(next)
	for _, a := range next {
		a.gone.Store(false)
	}
	s.served.Store(served)
	s.reinstate(served)
	for id, a := range before {
		if served.byID[id] == nil {
			s.retire(a)
			a.gone.Store(true)
			s.flushers.CloseGroup(a, socket.ReasonRemoved)
		}
	}
	return nil
}

// reconfigure gives a running app other settings. Its error is one that validation
// lets nobody see.
func (a *app) reconfigure(c config.App) error {
	before := a.settings().App
	if reflect.DeepEqual(before, c) {
		return nil
	}
	ofHooks := func(c config.App) any { return []any{c.Key, c.Secret, c.Webhooks} }
	if a.hooks != nil && !reflect.DeepEqual(ofHooks(before), ofHooks(c)) {
		if err := a.hooks.Replace(c.Key, c.Secret, hooksOf(c)); err != nil {
			return err
		}
	}
	a.configure(c)
	a.hub.Configure(a.hubOptions(nil))
	return nil
}

// retire keeps an app that is served no more until its webhooks end with all
// others, or it comes back.
func (s *Server) retire(a *app) {
	s.retiredMu.Lock()
	defer s.retiredMu.Unlock()
	s.retired[a.id] = a
}

func (s *Server) formerApp(id string) *app {
	s.retiredMu.Lock()
	defer s.retiredMu.Unlock()
	return s.retired[id]
}

func (s *Server) reinstate(served *apps) {
	s.retiredMu.Lock()
	defer s.retiredMu.Unlock()
	for id := range served.byID {
		delete(s.retired, id)
	}
}

// ended reports whether Close was called.
func (s *Server) ended() bool {
	s.closeMu.Lock()
	defer s.closeMu.Unlock()
	return s.closed
}

// postReload serves POST /reload, for operators: {"applied", "needs_restart"}, or
// 422 with why nothing was done.
func (s *Server) postReload(w http.ResponseWriter, _ *http.Request) {
	changes, err := s.Reload()
	if err != nil {
		writeError(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, changes)
}
