package attack

import (
	"context"
	"crypto/md5"
	"fmt"
	"strings"
	"time"
)

// requests are attacks on the HTTP API.
var requests = []Attack{
	{Name: "forged signatures of events", strike: func(ctx context.Context, t *Target, i int) string {
		return t.post(ctx, i, t.event("not "+t.Secret, "forged", strings.Repeat("x", 100)))
	}},
	{Name: "forged and large, the body sent but for its last byte", Many: true, strike: withheld},
	{Name: "events as fast as they are taken", strike: func(ctx context.Context, t *Target, i int) string {
		return t.post(ctx, i, t.event(t.Secret, "flood", strings.Repeat("x", 100)))
	}},
	{Name: "smuggled requests", strike: smuggle},
}

// request is a request of the HTTP API, but for what frames its body.
type request struct{ line, body string }

func (r request) String() string { return r.framed(fmt.Sprintf("Content-Length: %d", len(r.body))) }

// framed is the request with header lines that say where its body ends.
func (r request) framed(lines string) string { return r.line + lines + "\r\n\r\n" + r.body }

// event publishes one to a channel of nobody's, signed with a secret.
func (t *Target) event(secret, name, data string) request {
	return t.eventFor(secret, name, "jobs.attacked", data)
}

func (t *Target) eventFor(secret, name, channel, data string) request {
	body := fmt.Sprintf(`{"name":%q,"channel":%q,"data":%q}`, name, channel, data)
	path := "/apps/" + t.AppID + "/events"
	query := fmt.Sprintf("auth_key=%s&auth_timestamp=%d&auth_version=1.0&body_md5=%x", t.Key, time.Now().Unix(), md5.Sum([]byte(body)))
	query += "&auth_signature=" + sign(secret, "POST\n"+path+"\n"+query)
	return request{"POST " + path + "?" + query + " HTTP/1.1\r\nHost: " + t.Addr + "\r\n", body}
}

// post sends a request over and over on one connection, which is what costs the
// attacker least. It returns what the last one got.
func (t *Target) post(ctx context.Context, i int, r request) string {
	c, err := t.dial(ctx, i)
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	const often, window = 500, 10
	got := Answered
	for range often / window { // pipelined, a few at a time
		c.say(strings.Repeat(r.String(), window))
		for range window {
			if got = c.answer(); !strings.HasPrefix(got, "HTTP") {
				return got
			}
		}
	}
	return got
}

// large is the claimed length of a body.
const large = 1_000_000

// allButOne is such a body, but for its end.
var allButOne = strings.Repeat("x", large-1)

// withheld has the daemon wait for the last byte of a large body.
func withheld(ctx context.Context, t *Target, i int) string {
	c, err := t.dial(ctx, i)
	if err != nil {
		return unreached(ctx)
	}
	defer c.Close()
	forged := t.event("not "+t.Secret, "forged", "{}")
	return c.flood(forged.line+fmt.Sprintf("Content-Length: %d\r\n\r\n", large)+allButOne, c.answer)
}
