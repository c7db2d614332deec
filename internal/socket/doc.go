// Package socket is a client's WebSocket connection, for very many of them,
// most of which are silent, and which get the same frames.
//
// The handshake is checked by github.com/coder/websocket. Then the connection
// is a [Conn], and its way to the client's machine a link: on Linux a
// descriptor that this package reads and writes with non-blocking system
// calls; for TLS and on other systems a net.Conn with goroutines.
//
// Reading: a poller, one for each flusher, sleeps until some of its
// connections have sent something, reads them one after the other into one
// buffer, and hands whole messages to the connection's [Handler]. A silent
// connection costs a Conn, and neither goroutine nor buffer. What has come of an
// unfinished message is kept in its input.
//
// Writing: a [Flusher], one for every two processors, owns its connections' outboxes
// and their places in topics. It takes its work from an inbox: join, leave,
// broadcast, send, close. It works in rounds. First it takes all that the inbox
// holds and puts frames into outboxes; then it writes each outbox that it
// touched with one call. So frames gather by themselves under load, and an idle
// system adds no delay. An event for a large channel is given out in slices, one
// in each round: other work goes between them, but on no connection does anything
// overtake what the inbox held before it. Such a channel's next events wait a
// little, so as to leave together. If the link doesn't take all, the rest waits
// until it does.
//
// An event for a few connections is written by its source, if the flusher is
// asleep: to wake a thread costs more than to write.
//
// Nothing but its flusher touches an outbox, so there is no lock on the way of
// a frame.
//
// A client that reads too slowly is closed, never silently skipped. Every end
// of a connection has a [Reason], which is at once an error, a close code and a
// metric's label.
package socket
