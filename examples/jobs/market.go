package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"
)

// Roles of a user.
const (
	RoleClient     = "client"
	RoleFreelancer = "freelancer"
)

// States of a job, in the order in which it goes through them.
const (
	StatusOpen       = "open"
	StatusClaimed    = "claimed"
	StatusInProgress = "in_progress"
	StatusCompleted  = "completed"
)

// Currency is that of every amount.
const Currency = "EUR"

// User is a client or a freelancer. The token stands for a login.
type User struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Role  string `json:"role"`
	Token string `json:"token"`
}

// Job is an offer of a client and, once claimed, the work of a freelancer.
type Job struct {
	ID           int    `json:"id"`
	Title        string `json:"title"`
	Description  string `json:"description"`
	Budget       Money  `json:"budget"`
	ClientID     int    `json:"client_id"`
	FreelancerID int    `json:"freelancer_id,omitempty"` // 0 while it is open
	Status       string `json:"status"`
	Progress     int    `json:"progress"` // percent
}

// Advance is what the freelancer gets for claiming; the rest of the budget
// waits in escrow for the work to be done.
func (j Job) Advance() Money { return j.Budget / 5 }

// HasParty reports whether the job is the user's, as its client or freelancer.
func (j Job) HasParty(userID int) bool {
	return userID != 0 && (j.ClientID == userID || j.FreelancerID == userID)
}

// Refusal is an error for the user, with the HTTP status that says its kind.
type Refusal struct {
	Status  int
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func refuse(status int, format string, args ...any) error {
	return &Refusal{status, fmt.Sprintf(format, args...)}
}

// Market holds the jobs and the wallets. It knows nothing of HTTP requests or
// of events. Its methods may be called from any goroutine.
type Market struct {
	mu       sync.Mutex
	jobs     []Job // by id, ascending
	balances map[int]Money
	lastID   int
}

// NewMarket opens a market whose first job gets the id firstID.
func NewMarket(firstID int, balances map[int]Money) *Market {
	return &Market{balances: balances, lastID: firstID - 1}
}

// Balance is what the user can spend; money in escrow is not part of it.
func (m *Market) Balance(userID int) Money {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.balances[userID]
}

// Job finds a job by its id.
func (m *Market) Job(id int) (Job, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.findLocked(id)
	if err != nil {
		return Job{}, false
	}
	return *job, true
}

// Jobs lists what the user may see: every open job, and those of their own.
func (m *Market) Jobs(userID int) []Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	visible := []Job{}
	for _, job := range m.jobs {
		if job.Status == StatusOpen || job.HasParty(userID) {
			visible = append(visible, job)
		}
	}
	return visible
}

// Post offers a job. The client must be able to pay for it.
func (m *Market) Post(client User, title, description string, budget Money) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := utf8.RuneCountInString(title); {
	case client.Role != RoleClient:
		return Job{}, refuse(http.StatusForbidden, "Only clients post jobs.")
	case n < 3 || n > 120:
		return Job{}, refuse(http.StatusUnprocessableEntity, "The title must have 3 to 120 characters.")
	case utf8.RuneCountInString(description) > 2000:
		return Job{}, refuse(http.StatusUnprocessableEntity, "The description may have 2000 characters.")
	case budget < 100:
		return Job{}, refuse(http.StatusUnprocessableEntity, "The budget must be at least 1 %s.", Currency)
	case budget > m.balances[client.ID]:
		return Job{}, refuse(http.StatusUnprocessableEntity, "The budget is more than the wallet holds.")
	}
	m.lastID++
	job := Job{
		ID: m.lastID, Title: title, Description: description, Budget: budget,
		ClientID: client.ID, Status: StatusOpen,
	}
	m.jobs = append(m.jobs, job)
	return job, nil
}

// Claim gives an open job to the first freelancer who asks: the budget leaves
// the client's wallet, the advance reaches the freelancer's, and what is left
// is in escrow.
func (m *Market) Claim(freelancer User, id int) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.findLocked(id)
	switch {
	case err != nil:
		return Job{}, err
	case freelancer.Role != RoleFreelancer:
		return Job{}, refuse(http.StatusForbidden, "Only freelancers claim jobs.")
	case job.Status != StatusOpen:
		return Job{}, refuse(http.StatusConflict, "Somebody else was faster.")
	case m.balances[job.ClientID] < job.Budget:
		return Job{}, refuse(http.StatusConflict, "The client can no longer pay for this job.")
	}
	m.balances[job.ClientID] -= job.Budget
	m.balances[freelancer.ID] += job.Advance()
	job.FreelancerID, job.Status = freelancer.ID, StatusClaimed
	return *job, nil
}

// Advance moves a job of the freelancer forward to a progress in percent. 100
// completes it and pays what is in escrow.
func (m *Market) Advance(freelancer User, id, progress int) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, err := m.findLocked(id)
	switch {
	case err != nil:
		return Job{}, err
	case job.FreelancerID != freelancer.ID:
		return Job{}, refuse(http.StatusForbidden, "This job is not yours.")
	case job.Status == StatusCompleted:
		return Job{}, refuse(http.StatusConflict, "This job is done.")
	case progress <= job.Progress || progress > 100:
		return Job{}, refuse(http.StatusUnprocessableEntity, "Progress goes up, to at most 100.")
	}
	job.Progress, job.Status = progress, StatusInProgress
	if progress == 100 {
		job.Status = StatusCompleted
		m.balances[freelancer.ID] += job.Budget - job.Advance()
	}
	return *job, nil
}

func (m *Market) findLocked(id int) (*Job, error) {
	i, found := slices.BinarySearchFunc(m.jobs, id, func(j Job, id int) int { return j.ID - id })
	if !found {
		return nil, refuse(http.StatusNotFound, "There is no job %d.", id)
	}
	return &m.jobs[i], nil
}
