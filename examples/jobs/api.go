package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// API is the marketplace over HTTP: JSON in and out, a bearer token on every
// request, errors as {"message": "..."}.
type API struct {
	Log         *slog.Logger
	Users       []User
	Market      *Market
	Broadcaster *Broadcaster

	// commands lets one change at a time through, its events included, so that
	// events leave in the order of the changes.
	commands sync.Mutex
}

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// Register adds the API's routes.
func (a *API) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/jobs", a.authenticated(a.listJobs))
	mux.HandleFunc("POST /api/jobs", a.authenticated(a.postJob))
	mux.HandleFunc("POST /api/jobs/{id}/claim", a.authenticated(a.claimJob))
	mux.HandleFunc("PATCH /api/jobs/{id}", a.authenticated(a.updateJob))
	mux.HandleFunc("GET /api/wallet", a.authenticated(a.wallet))
	mux.HandleFunc("GET /broadcasting/auth", a.authenticated(a.broadcastingAuth))
	mux.HandleFunc("POST /broadcasting/auth", a.authenticated(a.broadcastingAuth))
}

// handler answers a request of a known user. What it returns is sent as JSON;
// an error that is a *Refusal with its status, any other as 500.
type handler func(w http.ResponseWriter, r *http.Request, user User) (any, error)

func (a *API) authenticated(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		user, ok := a.userOf(r)
		if !ok {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Unauthenticated."})
			return
		}
		reply, err := h(w, r, user)
		var refusal *Refusal
		switch {
		case errors.As(err, &refusal):
			writeJSON(w, refusal.Status, map[string]string{"message": refusal.Message})
		case err != nil:
			a.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
			writeJSON(w, http.StatusInternalServerError, map[string]string{"message": "Server Error"})
		case reply != nil:
			writeJSON(w, http.StatusOK, reply)
		}
	}
}

func (a *API) userOf(r *http.Request) (User, bool) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	for _, user := range a.Users {
		if found && user.Token == token {
			return user, true
		}
	}
	return User{}, false
}

func (a *API) listJobs(_ http.ResponseWriter, _ *http.Request, user User) (any, error) {
	return a.Market.Jobs(user.ID), nil
}

func (a *API) wallet(_ http.ResponseWriter, _ *http.Request, user User) (any, error) {
	return Object{{"balance", a.Market.Balance(user.ID).String()}, {"currency", Currency}}, nil
}

func (a *API) postJob(_ http.ResponseWriter, r *http.Request, user User) (any, error) {
	var offer struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Budget      Money  `json:"budget"`
	}
	if err := readJSON(r, &offer); err != nil {
		return nil, err
	}
	a.commands.Lock()
	defer a.commands.Unlock()
	job, err := a.Market.Post(user, strings.TrimSpace(offer.Title), strings.TrimSpace(offer.Description), offer.Budget)
	if err != nil {
		return nil, err
	}
	a.broadcast(r, JobPosted(job))
	return job, nil
}

func (a *API) claimJob(_ http.ResponseWriter, r *http.Request, user User) (any, error) {
	a.commands.Lock()
	defer a.commands.Unlock()
	job, err := a.Market.Claim(user, jobID(r))
	if err != nil {
		return nil, err
	}
	a.broadcast(r,
		JobClaimed(job, user),
		JobUpdated(Discovery, job.ID, Object{{"status", job.Status}}),
		WalletUpdated(job.ClientID, a.Market.Balance(job.ClientID)),
		WalletUpdated(user.ID, a.Market.Balance(user.ID)))
	return job, nil
}

func (a *API) updateJob(_ http.ResponseWriter, r *http.Request, user User) (any, error) {
	var change struct {
		Progress int `json:"progress"`
	}
	if err := readJSON(r, &change); err != nil {
		return nil, err
	}
	a.commands.Lock()
	defer a.commands.Unlock()
	job, err := a.Market.Advance(user, jobID(r), change.Progress)
	if err != nil {
		return nil, err
	}
	a.broadcast(r, JobUpdated(jobChannel(job.ID), job.ID,
		Object{{"status", job.Status}, {"progress", job.Progress}}))
	if job.Status == StatusCompleted {
		a.broadcast(r, WalletUpdated(user.ID, a.Market.Balance(user.ID)))
	}
	return job, nil
}

// broadcast publishes events on behalf of a request. A Redis that is away is
// logged and doesn't undo the change: pages load the state again when they
// reconnect.
func (a *API) broadcast(r *http.Request, events ...Event) {
	var socket *string
	if ids := r.Header.Values("X-Socket-ID"); len(ids) > 0 {
		socket = &ids[0]
	}
	for _, event := range events {
		if err := a.Broadcaster.Broadcast(r.Context(), event, socket); err != nil {
			a.Log.Error("event is lost", "event", event.Name, "err", err)
		}
	}
}

// jobID is the request's job, 0 for what is no number: no job has that id.
func jobID(r *http.Request) int {
	id, _ := strconv.Atoi(r.PathValue("id"))
	return id
}

func readJSON(r *http.Request, v any) error {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		return refuse(http.StatusUnprocessableEntity, "The request is not as expected: %v.", err)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the client is gone
}
