package protocol

// CloseCode ends a WebSocket connection. What counts is what pusher-js does
// on receiving it: 4000-4099 it never reconnects, 4100-4199 it does after a
// second, 4200-4299 at once, from 4300 never again.
type CloseCode uint16

// The codes that this server sends (Pusher's documentation of the protocol;
// those under 4000 are RFC 6455's).
const (
	CloseProtocolError       CloseCode = 1002
	CloseUnsupportedData     CloseCode = 1003
	CloseInvalidData         CloseCode = 1007
	CloseTooBig              CloseCode = 1009
	CloseInternal            CloseCode = 1011
	CloseAppNotFound         CloseCode = 4001
	ClosePathNotFound        CloseCode = 4005
	CloseInvalidVersion      CloseCode = 4006
	CloseUnsupportedProtocol CloseCode = 4007
	CloseNoProtocol          CloseCode = 4008
	CloseUnauthorized        CloseCode = 4009
	CloseOverCapacity        CloseCode = 4100
	CloseReconnect           CloseCode = 4200
	ClosePongTimeout         CloseCode = 4201
)

// Codes that only occur inside a pusher:error.
const (
	CodeInvalidMessage CloseCode = 4200
	CodeClientEvent    CloseCode = 4301
	CodeWatchlist      CloseCode = 4302
)
