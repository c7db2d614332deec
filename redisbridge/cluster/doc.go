// Package cluster lets several nodes serve an app as one, over Redis.
//
// For each app, or each of several partitions of its channels, there is a log: a
// Redis stream to which nodes and APIs add events, and from which every node
// delivers. Beside it, in the same hash slot, stands who is where. A node declares
// how many subscribers and which members of a channel it has; scripts compare that
// with what it declared before, its ledger, and put what comes of it for all nodes
// into the log in the same step. To declare something twice changes nothing, so
// whatever went wrong, a node declares all that it has and the state is right
// again.
//
// The answer to a declaration names the log's position. The node acts on it once
// its reader has come to that position: what is older has been delivered to its
// subscribers, what is newer will be, and nothing falls between.
//
// A node has a lease by Redis's clock. One node is the keeper: it takes back what
// a node whose lease ran out had declared, tells webhooks, keeps the last events
// of cache channels and cuts the log to its length.
//
// Lock order: a partition's turn, in which everything happens that has a place in
// the log's order; a session's lock; what package channels says of its own; and a
// partition's mu. Only under the turn may something wait.
package cluster
