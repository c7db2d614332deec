// Package channels knows who listens to what: one [Hub] for each app holds the
// app's channels and, for presence channels, their members. It knows no
// sockets, no HTTP and no Redis.
//
// The hub decides the order of everything that happens to a channel and hands
// the work on, as frames encoded once, to the flushers that own the
// connections. What it holds of a channel is one number for each flusher, so
// that a publish costs what it costs per processor, not per subscriber.
//
// Lock order: a session's lock, which the caller may hold; a shard's or that of
// [Users]; and inside it the cache's, the [Observer]'s, a [Cluster]'s or a
// flusher's inbox's.
// Under none of them does anything wait or touch a socket.
package channels
