package server

import (
	"bytes"
	"regexp"

	"broadcastd/protocol"
)

// traceIn and traceOut print messages for --debug. Signatures are masked: who
// has one may listen.
func (s *Server) traceIn(id protocol.SocketID, text []byte) {
	s.log.Info("message in", "socket", id.String(), "message", string(mask(text)))
}

func (s *Server) traceOut(id protocol.SocketID, f protocol.Frame) {
	if _, greeting, ok := bytes.Cut(f, []byte("\r\n\r\n")); ok {
		f = greeting // behind the handshake's response
	}
	if text := f.Payload(); text != nil {
		s.log.Info("message out", "socket", id.String(), "message", string(text))
	}
}

// secret matches a JSON member whose value must not be printed, also within a
// string that holds JSON.
var secret = regexp.MustCompile(`(?i)(\\*"(?:auth|token|shared_secret|authorization|password|cookie)\\*"\s*:\s*\\*")((?:[^"\\]|\\[^"])*)`)

func mask(text []byte) []byte {
	return secret.ReplaceAll(bytes.ToValidUTF8(text, []byte("\ufffd")), []byte("${1}******"))
}
