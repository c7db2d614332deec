package auth

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// cache keeps what the API allowed for a little while, so that clients that come
// back all at once don't all go to the API. A signature is for one connection, so
// none is kept: with the app's secret it is made anew, whoever made the first. Only
// a yes is kept, and of questions about channels.
type cache struct {
	ttl    time.Duration
	flight singleflight.Group // of calls under way

	mu    sync.Mutex                 // guards the following
	byKey map[cacheKey]*list.Element // of a *cached
	order list.List                  // the oldest first
	bytes int
}

// cacheKey is a hash of who asks for what. Credentials themselves aren't kept.
type cacheKey [sha256.Size]byte

type cached struct {
	key   cacheKey
	grant Grant // without Auth
	until time.Time
}

const (
	// maxCached bounds the memory of a cache, about, in bytes.
	maxCached = 32 << 20
	// cachedSize is what a yes takes beside its texts.
	cachedSize = 400
)

func newCache(ttl time.Duration) *cache {
	return &cache{ttl: ttl, byKey: make(map[cacheKey]*list.Element)}
}

// keyOf is the same for all connections of a client that sends the API the same
// headers.
func (a *API) keyOf(app Credentials, req Request) (key cacheKey) {
	h := sha256.New()
	writeText(h, app.Key)
	writeText(h, req.Channel)
	for _, name := range a.cfg.Headers {
		values := req.Header.Values(name)
		writeLength(h, len(values))
		for _, value := range values {
			writeText(h, value)
		}
	}
	h.Sum(key[:0])
	return key
}

func writeText(h hash.Hash, s string) {
	writeLength(h, len(s))
	_, _ = io.WriteString(h, s) // a hash takes everything
}

func writeLength(h hash.Hash, n int) { _ = binary.Write(h, binary.BigEndian, uint64(n)) }

// authorizeCached answers with what is kept. Clients that ask the same at the
// same time share one call, which goes on when one of them leaves.
func (a *API) authorizeCached(ctx context.Context, app Credentials, req Request) (Grant, error) {
	key := a.keyOf(app, req)
	if grant, ok := a.cache.get(key, time.Now()); ok {
		a.metrics.cache.WithLabelValues(cacheHit).Inc()
		return grant.signedFor(app, req), nil
	}
	result := cacheJoined
	answer := a.cache.flight.DoChan(string(key[:]), func() (_ any, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = panicked{fmt.Sprintf("%v\n\n%s", v, debug.Stack())}
			}
		}()
		if grant, ok := a.cache.get(key, time.Now()); ok { // since we looked
			result = cacheHit
			return grant, nil
		}
		result = cacheAsked
		grant, err := a.authorize(a.ctx, app, req)
		if err == nil {
			a.cache.put(key, grant, time.Now())
		}
		return grant, err
	})
	select {
	case got := <-answer:
		a.metrics.cache.WithLabelValues(result).Inc()
		if bug, ok := got.Err.(panicked); ok { //nolint:errorlint // our own, as it is
			panic(bug.text)
		}
		if got.Err != nil {
			return Grant{}, got.Err
		}
		return got.Val.(Grant).signedFor(app, req), nil
	case <-ctx.Done():
		return Grant{}, canceled()
	}
}

// panicked takes a panic from the call that several wait for, whose goroutine
// nobody guards, to each of them: a bug ends no more with a cache than without.
type panicked struct{ text string } // with the stack

func (panicked) Error() string { return "the call to the API panicked" }

// signedFor is the grant for the connection that asks.
func (g Grant) signedFor(app Credentials, req Request) Grant {
	g.Auth = SignChannel(app.Key, app.Secret, req.SocketID, req.Channel, g.ChannelData)
	return g
}

func (c *cache) get(key cacheKey, now time.Time) (Grant, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now)
	if e := c.byKey[key]; e != nil {
		return e.Value.(*cached).grant, true
	}
	return Grant{}, false
}

func (c *cache) put(key cacheKey, grant Grant, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.byKey[key])
	grant.Auth = ""
	entry := &cached{key: key, grant: grant, until: now.Add(c.ttl)}
	c.byKey[key] = c.order.PushBack(entry)
	c.bytes += entry.size()
	c.expire(now)
}

// drop forgets a yes that no longer holds.
func (c *cache) drop(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.byKey[key])
}

// expire makes room. c.mu must be held.
func (c *cache) expire(now time.Time) {
	for e := c.order.Front(); e != nil && (c.bytes > maxCached || !now.Before(e.Value.(*cached).until)); e = c.order.Front() {
		c.remove(e)
	}
}

// remove needs c.mu.
func (c *cache) remove(e *list.Element) {
	if e == nil {
		return
	}
	entry := c.order.Remove(e).(*cached)
	delete(c.byKey, entry.key)
	c.bytes -= entry.size()
}

func (e *cached) size() int { return len(e.grant.ChannelData) + len(e.grant.SharedSecret) + cachedSize }
