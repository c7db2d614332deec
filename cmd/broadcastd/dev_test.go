package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"broadcastd/internal/config"
)

// TestDevHelpForTLS: what is to be pasted goes by what is configured.
func TestDevHelpForTLS(t *testing.T) {
	cfg := config.Default()
	cfg.App.ID, cfg.App.Key, cfg.App.Secret = "app-id", "app-key", config.DevSecret
	for cert, want := range map[string][]string{
		"":         {"on http://127.0.0.1:8080", "REVERB_SCHEME=http\n", "wsPort: 8080, wsPath: '', forceTLS: false,"},
		"cert.pem": {"on https://127.0.0.1:8080", "REVERB_SCHEME=https\n", "wsPort: 8080, wsPath: '', wssPort: 8080, forceTLS: true,"},
	} {
		cfg.TLS.Cert = cert
		var out bytes.Buffer
		printDevHelp(&out, cfg, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080})
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("tls.cert %q: the help lacks %q:\n%s", cert, text, &out)
			}
		}
	}
}
