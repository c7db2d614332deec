package deploy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestHAProxy has clients come by TCP and TLS through HAProxy, as deploy/haproxy says.
// The limit of an address holds for them, and not for HAProxy.
func TestHAProxy(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin") // where Debian has it
	cert, key := selfSigned(t)
	public, admin := startDaemon(t, []string{
		"BROADCASTD_APP_ID=app-id", "BROADCASTD_APP_KEY=app-key", "BROADCASTD_APP_SECRET=app-secret",
		"BROADCASTD_HOST=127.0.0.1", "BROADCASTD_PORT=0", "BROADCASTD_ADMIN_LISTEN=127.0.0.1:0",
		"BROADCASTD_TLS_CERT=" + cert, "BROADCASTD_TLS_KEY=" + key,
		"BROADCASTD_TRUSTED_PROXIES=127.0.0.2", "BROADCASTD_PROXY_PROTOCOL=true", "BROADCASTD_MAX_CONNECTIONS_PER_ADDRESS=2",
	}, "start")
	_, adminPort, err := net.SplitHostPort(admin)
	if err != nil {
		t.Fatal(err)
	}
	addr := startHAProxy(t,
		"maxconn 60000", "maxconn 100",
		"bind :443", "bind fd@3",
		"port 9601", "port "+adminPort,
		"server broadcastd-1 127.0.0.1:8080", "server broadcastd-1 "+public+" source 127.0.0.2",
	)

	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}}}
	for _, want := range []string{"pusher:connection_established", "pusher:connection_established", "4100"} {
		ws, _, err := websocket.Dial(t.Context(), "wss://"+addr+"/app/app-key?protocol=7", &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.CloseNow() })
		if _, text, err := ws.Read(t.Context()); err != nil || !bytes.Contains(text, []byte(want)) {
			t.Errorf("a client gets %s, %v; want %s", text, err, want)
		}
	}
}

// startHAProxy runs it with the file of deploy/, but for what differs here: pairs of
// what stands in the file, and what takes its place. Its socket is bound already.
func startHAProxy(t *testing.T, changes ...string) (addr string) {
	t.Helper()
	text := read(t, "deploy", "haproxy", "haproxy.cfg")
	for i := 0; i < len(changes); i += 2 {
		if strings.Count(text, changes[i]) != 1 {
			t.Fatalf("haproxy.cfg should have %q once", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var log bytes.Buffer
	cmd := exec.Command("haproxy", "-db", "-f", file) // in the foreground
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			fmt.Fprintln(t.Output(), log.String())
		}
	})
	return l.Addr().String()
}
