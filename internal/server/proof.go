package server

import (
	"net/http"
	"sync"

	"broadcastd/protocol"
)

// proof is what a client was last recognised by when the API granted it a channel
// at the server's own endpoint, and what the API has taken back since: a signature
// is good as long as its connection, whatever becomes of the right. It is there
// only while the API is asked again.
type proof struct {
	app *app

	mu      sync.Mutex // guards the following
	header  http.Header
	revoked map[string]struct{} // channels
}

// expect makes room for a connection whose client doesn't know its id yet. It
// ends with forget.
func (v *revalidator) expect(id protocol.SocketID, a *app) {
	if v != nil {
		v.proofs.Store(id, &proof{app: a})
	}
}

func (v *revalidator) forget(id protocol.SocketID) {
	if v != nil {
		v.proofs.Delete(id)
	}
}

// proofOf is nil for a connection that is not here, or if nothing is asked again.
func (v *revalidator) proofOf(id protocol.SocketID) *proof {
	if v == nil {
		return nil
	}
	found, _ := v.proofs.Load(id)
	p, _ := found.(*proof)
	return p
}

// granted notes that the API has said yes to who sent header. One set of
// headers is kept for a connection, the latest.
func (p *proof) granted(channel string, header http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.header = header
	delete(p.revoked, channel)
}

// shown is nil if the endpoint has granted nothing.
func (p *proof) shown() http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.header
}

// maxRevoked bounds what is remembered for a connection.
const maxRevoked = 1000

// revoke makes signatures for a channel worthless. It tells whether there was
// room to remember that.
func (p *proof) revoke(channel string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked == nil {
		p.revoked = make(map[string]struct{})
	}
	p.revoked[channel] = struct{}{}
	return len(p.revoked) <= maxRevoked
}

// restore notes that the API granted a channel to the connection itself.
func (p *proof) restore(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.revoked, channel)
}

func (p *proof) isRevoked(channel string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.revoked[channel]
	return ok
}
