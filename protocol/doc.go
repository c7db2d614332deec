// Package protocol is the Pusher Channels wire format, version 7: channel
// names and kinds, socket ids, the messages both sides send, WebSocket frames
// ready to be written, their compression, and close codes.
//
// It is pure: no input or output, no locks of its own, no clock. What the server
// sends is encoded once, and compressed once, into a [Frame] that all receivers
// share.
package protocol
