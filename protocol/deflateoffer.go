package protocol

import "strings"

// NegotiateDeflate looks through the values of a handshake's
// Sec-WebSocket-Extensions headers for an offer of permessage-deflate that the
// server can honour. The first is accepted with answer, the response's header
// value: neither side's messages refer to earlier ones. An offer is declined if
// anything about it is wrong or unknown, or if it wants the server to send with
// a smaller window, as frames are shared.
func NegotiateDeflate(offers []string) (answer string, ok bool) {
	for _, header := range offers {
		for _, offer := range splitOffers(header) {
			if answer, ok := acceptOffer(offer); ok {
				return answer, true
			}
		}
	}
	return "", false
}

// splitOffers splits a header's value at commas that are not within quotes.
func splitOffers(header string) []string {
	var offers []string
	start, quoted := 0, false
	for i := 0; i < len(header); i++ {
		switch c := header[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			offers = append(offers, header[start:i])
			start = i + 1
		}
	}
	return append(offers, header[start:])
}

func acceptOffer(offer string) (answer string, ok bool) {
	extension, params, more := strings.Cut(offer, ";")
	if strings.Trim(extension, " \t") != "permessage-deflate" {
		return "", false
	}
	answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	seen := map[string]bool{}
	for more {
		var param string
		param, params, more = strings.Cut(params, ";")
		name, value, valued := strings.Cut(param, "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		switch {
		case seen[name]:
			return "", false
		case (name == "server_no_context_takeover" || name == "client_no_context_takeover") && !valued:
		case name == "client_max_window_bits" && (!valued || isWindowBits(unquote(value))):
		case name == "server_max_window_bits" && unquote(value) == "15":
			answer += "; server_max_window_bits=15" // accepted by repeating it
		default:
			return "", false
		}
		seen[name] = true
	}
	return answer, true
}

// unquote leaves a string with escapes as it is, which none of our values is.
func unquote(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// isWindowBits tells the sizes of a window, as powers of two.
func isWindowBits(value string) bool {
	switch value {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}
