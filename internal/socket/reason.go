package socket

import "broadcastd/protocol"

// Reason is why a connection ended.
type Reason struct {
	// Label is the reason in metrics.
	Label string
	// Code is what the close frame carries; 0: none is sent, because the peer
	// is gone or has its own back.
	Code protocol.CloseCode
	// Text is the close frame's reason and the error's text.
	Text string
}

func (r *Reason) Error() string { return r.Text }

// The reasons that arise in this package, and those that its users give to
// [Conn.Close].
var (
	ReasonClient      = &Reason{Label: "client", Text: "the client left"}
	ReasonLost        = &Reason{Label: "lost", Text: "the connection broke"}
	ReasonProtocol    = &Reason{"protocol_error", protocol.CloseProtocolError, "frame breaks the WebSocket protocol"}
	ReasonUnmasked    = &Reason{"unmasked", protocol.CloseProtocolError, "frames from clients must be masked and have a valid length"}
	ReasonBinary      = &Reason{"binary", protocol.CloseUnsupportedData, "only text messages are understood"}
	ReasonUTF8        = &Reason{"invalid_utf8", protocol.CloseInvalidData, "message is not valid UTF-8"}
	ReasonDeflate     = &Reason{"invalid_deflate", protocol.CloseInvalidData, "message cannot be inflated"}
	ReasonTooBig      = &Reason{"message_too_big", protocol.CloseTooBig, "message is over the limit"}
	ReasonSlow        = &Reason{"slow_consumer", protocol.CloseOverCapacity, "the client reads too slowly"}
	ReasonPongTimeout = &Reason{"pong_timeout", protocol.ClosePongTimeout, "no pong came in time"}
	ReasonShutdown    = &Reason{"shutdown", protocol.CloseReconnect, "the server is shutting down, please reconnect"}
	ReasonRefused     = &Reason{Label: "refused", Text: "the connection was refused"}
	ReasonTerminated  = &Reason{"terminated", protocol.CloseUnauthorized, "the app has terminated the user's connections"}
	ReasonRemoved     = &Reason{"app_removed", protocol.CloseAppNotFound, "the app is no longer served here"}
	ReasonInternal    = &Reason{"internal_error", protocol.CloseInternal, "internal error"}
	ReasonRateLimit   = &Reason{"rate_limit", protocol.CloseOverCapacity, "too many messages"}
)

// Reasons lists those of connections that were accepted, for metrics that must
// exist before they are used.
func Reasons() []*Reason {
	return []*Reason{
		ReasonClient, ReasonLost, ReasonProtocol, ReasonUnmasked, ReasonBinary, ReasonUTF8, ReasonDeflate, ReasonTooBig,
		ReasonSlow, ReasonPongTimeout, ReasonShutdown, ReasonRateLimit, ReasonTerminated, ReasonRemoved, ReasonInternal,
	}
}
