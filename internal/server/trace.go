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
	if _, greeting, ok := bytes.Cut(f, []byte("\r\n\r\n")); ok && bytes.HasPrefix(f, []byte("HTTP/1.1 ")) {
		f = greeting // behind the handshake's response
	}
	if f.IsClose() && len(f) >= 4 {
		s.log.Info("close out", "socket", id.String(), "code", int(f[2])<<8|int(f[3]), "reason", string(f[4:]))
	}
	if text := f.Payload(); text != nil {
		s.log.Info("message out", "socket", id.String(), "message", string(mask(text)))
	}
}

// secretName is the name of what must not be printed.
const secretName = `[a-z0-9_.-]*(?:auth|token|secret|password|cookie)[a-z0-9_.-]*`

// Secrets are strings, numbers and lists, in JSON and in JSON within a JSON
// string, where each quote has a backslash and each backslash another one. They
// may be cut off.
// What hides deeper, or behind an escaped name, is printed.
var (
	secret       = regexp.MustCompile(`(?i)("` + secretName + `"\s*:\s*)("(?:[^"\\]|\\.)*(?:"|\\?$)|-?[0-9][^,}\]]*|\[[^\]]*(?:\]|$))`)
	secretWithin = regexp.MustCompile(`(?i)(\\"` + secretName + `\\"\s*:\s*)(\\"(?:[^"\\]|\\\\(?:\\"|\\\\|[^\\"])|\\[^"\\])*(?:\\"|"|\\*$)|-?[0-9][^,}\]]*|\[[^\]]*(?:\]|$))`)
)

func mask(text []byte) []byte {
	text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	for _, re := range []*regexp.Regexp{secret, secretWithin} {
		text = re.ReplaceAll(text, []byte("${1}******"))
	}
	return text
}
