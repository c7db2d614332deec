package config

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// webhookEvents are Pusher's.
var webhookEvents = []string{
	"channel_occupied", "channel_vacated", "member_added", "member_removed",
	"client_event", "cache_miss", "subscription_count",
}

// fixedHeaders are set by the daemon, or concern one connection only.
var fixedHeaders = []string{
	"Connection", "Content-Length", "Content-Type", "Expect", "Host", "Idempotency-Key", "Keep-Alive",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Pusher-Key", "X-Pusher-Signature",
}

// webhook's messages quote neither the URL nor the headers' values.
func (v *validator) webhook(path string, w *Webhook) {
	if !isWebURL(w.URL) {
		v.fail(path+".url", "expected an absolute URL such as https://api.example.com/broadcasting/webhook")
	}
	taken := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			v.fail(path+".headers", "%s is not the name of an HTTP header", quote(name))
		case slices.Contains(fixedHeaders, canonical):
			v.fail(path+".headers", "%s cannot be set: the server does so itself", quote(name))
		case taken[canonical]:
			v.fail(path+".headers", "%s is there twice, in upper and lower case", quote(name))
		case !isHeaderValue(w.Headers[name]):
			v.fail(path+".headers", "the value of %s has a character that cannot be in a header, such as a line's end", quote(name))
		}
		taken[canonical] = true
	}
	for _, name := range w.Events {
		v.oneOf(path+".events", name, webhookEvents...)
	}
}

// isHeaderValue tells what can be sent as a header's value (RFC 9110, 5.5).
func isHeaderValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
