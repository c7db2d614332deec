// Package auth decides who may do what: it makes and checks Pusher's
// signatures, of subscriptions, users and requests of the HTTP API, and asks
// the application's API whether a client may join a channel and who its user
// is.
//
// It fails closed: every error is a no, and each no is a [Refusal].
package auth
