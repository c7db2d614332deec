package attack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// pace is how long a slow attacker waits before its next byte: nobody is slower
// who wants to seem alive.
const pace = time.Second

// handshakes are attacks by those who are no clients yet.
var handshakes = []Attack{
	{Name: "slow handshakes", Many: true, strike: slowHandshake},
	{Name: "no request at all", Many: true, strike: func(ctx context.Context, t *Target, i int) string {
		return t.request(ctx, i, "")
	}},
	{Name: "1 MB of garbage", strike: func(ctx context.Context, t *Target, i int) string {
		return t.request(ctx, i, garbage())
	}},
	{Name: "a header of 1 MB", strike: func(ctx context.Context, t *Target, i int) string {
		return t.request(ctx, i, t.upgrade(t.Key, "Cookie: "+strings.Repeat("x", 1<<20)+"\r\n"))
	}},
	{Name: "10,000 headers", strike: func(ctx context.Context, t *Target, i int) string {
		var more strings.Builder
		for n := range 10_000 {
			fmt.Fprintf(&more, "X-%d: %d\r\n", n, n)
		}
		return t.request(ctx, i, t.upgrade(t.Key, more.String()))
	}},
	{Name: "HTTP/2 without TLS", strike: func(ctx context.Context, t *Target, i int) string {
		return t.request(ctx, i, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	}},
	{Name: "guessed keys", strike: guessKey},
	{Name: "handshakes and nothing after", Many: true, strike: func(ctx context.Context, t *Target, i int) string {
		c, err := t.connect(ctx, i, "")
		if err != nil {
			return unreached(ctx)
		}
		defer c.Close()
		return Answered
	}},
}

// request sends what may be no request, and tells how that ends.
func (t *Target) request(ctx context.Context, i int, sent string) string {
	c, err := t.dial(ctx, i)
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	return c.flood(sent, c.answer)
}

// garbage is 1 MB, and always the same.
func garbage() string {
	b := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // has no errors
	return string(b)
}

// slowHandshake would be done in minutes.
func slowHandshake(ctx context.Context, t *Target, i int) string {
	c, err := t.dial(ctx, i)
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	go func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for b := range strings.SplitSeq(t.upgrade(t.Key, ""), "") {
			if _, err := c.Write([]byte(b)); err != nil {
				return // reading tells
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c.answer()
}

// guessKey tries a key, and leaves when it was told that there is none.
func guessKey(ctx context.Context, t *Target, i int) string {
	c, err := t.dial(ctx, i)
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	c.say(t.upgrade(fmt.Sprintf("%020x", rand.Uint64()), ""))
	code, _, err := c.status()
	switch {
	case err != nil:
		return c.ended(err)
	case code != 101:
		return fmt.Sprintf("HTTP %d", code)
	}
	return c.end()
}
