// Package redisbridge takes events out of Redis: what Laravel's redis
// broadcaster publishes there is decoded and handed to the hub.
//
// A [Bridge] holds one connection that is subscribed to a pattern for each
// prefix. Redis keeps nothing for a subscriber that is away, so whatever is
// published between a lost connection and the next one is lost too. The bridge
// can't prevent that; it reconnects for ever and says so in its log, its
// metrics and its [State]. That is also why go-redis's own reconnecting is
// switched off: it would hide the gap.
//
// Redis is a single one, the master that Sentinels name, or a Cluster, where any
// node hears what is published at another. Each connection looks for its node
// anew, and is given up when that is not the one any more. [NewClient] gives the
// same choice to what else talks to Redis.
//
// Messages that are not events are counted by [Reason] and skipped.
//
// [Watch] and [Summarise] serve the operator who wonders under which prefix
// the events come.
package redisbridge
