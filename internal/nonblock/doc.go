// Package nonblock makes small reads and writes of a connection cheap.
//
// Package net tells Go's scheduler of every system call, since it may block. In
// a process that was idle a moment ago, this wakes the runtime's monitor thread,
// which then looks around for a while before it sleeps again. When events come
// one at a time, that costs more than an event does. A call that can't block
// need not be told of.
package nonblock
