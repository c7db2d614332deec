// Package webhook tells an app's own addresses what happens to its channels, in
// Pusher's form: POST {"time_ms": milliseconds, "events": [...]}, with the
// app's key in X-Pusher-Key and the hex HMAC-SHA256 of the body, made with its
// secret, in X-Pusher-Signature.
//
// A [Sender] hears of things under a channel's lock, so all it does there is to
// put them into each hook's queue. A hook has a goroutine of its own, which
// sends one request after the other: its events arrive in order, and a
// receiver that hangs delays nobody else. A request that fails is repeated for
// five minutes. Delivery is at least once: a receiver whose answer was lost
// gets the same body again.
//
// A channel that is vacated, or a member that leaves, is told 3 s later, and
// if they are back by then neither that nor their return is told.
//
// What was told with an id ([Sender.Telling]) carries it as the event's "id", by
// which a receiver knows what it was told before. Who tells so hears when that is
// done with, and can tell again what isn't, also from another machine.
//
// Lock order: a Sender's lock, a queue's lock inside it. Under neither does
// anything wait or log, nor is anybody told that something is done with.
package webhook
