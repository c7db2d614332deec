package server

import (
	"sync"

	"broadcastd/internal/socket"
)

// presentUsers finds the sessions of a user, signed in or member of a presence
// channel: Pusher terminates the former, Reverb the latter.
type presentUsers struct {
	mu   sync.Mutex // guards byID
	byID map[string]map[*session]int
}

func (p *presentUsers) add(id string, ses *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = make(map[string]map[*session]int)
	}
	if p.byID[id] == nil {
		p.byID[id] = make(map[*session]int)
	}
	p.byID[id][ses]++
}

func (p *presentUsers) remove(id string, ses *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sessions := p.byID[id]
	if sessions[ses]--; sessions[ses] == 0 {
		delete(sessions, ses)
	}
	if len(sessions) == 0 {
		delete(p.byID, id)
	}
}

// terminate closes all of a user's connections.
func (p *presentUsers) terminate(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ses := range p.byID[id] {
		ses.conn.Close(socket.ReasonTerminated)
	}
}
