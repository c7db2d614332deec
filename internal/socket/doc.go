// Package socket is a client's WebSocket connection: the handshake, reading,
// and above all writing, for many connections that get the same frames.
//
// Reading: a goroutine for each connection runs [Conn.Serve], in which
// github.com/coder/websocket parses frames and answers control frames.
//
// Writing: no goroutine for a connection. A [Flusher], one for each processor,
// owns its connections' outboxes and their places in the topics, and takes its
// work in order from an inbox: join, leave, broadcast, send, close. It works in
// rounds. First it takes all that the inbox holds and puts frames into
// outboxes; then it writes each outbox that it touched with one non-blocking
// system call. So frames gather by themselves under load, an idle system adds
// no delay, and whatever is put into an inbox first is on every wire first. What
// the kernel doesn't take at once is left to a goroutine that lives until that
// connection has caught up; it is also how all writing is done where the
// non-blocking call isn't to be had (TLS, systems other than Linux).
//
// Nothing but its flusher touches an outbox, so there is no lock on the way of
// a frame. The frames that the library writes itself, pongs and close frames,
// go through the inbox too.
//
// A client that reads too slowly is closed, never silently skipped. Every end
// of a connection has a [Reason], which is at once an error, a close code and a
// metric's label.
package socket
