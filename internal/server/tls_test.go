package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"broadcastd/internal/config"
	"broadcastd/protocol"
)

// certify writes a certificate for 127.0.0.1 into files of a folder, and returns it.
func certify(t *testing.T, dir string) (config.TLS, *x509.Certificate) {
	t.Helper()
	return certifyUntil(t, dir, time.Now().Add(time.Hour))
}

func certifyUntil(t *testing.T, dir string, end time.Time) (config.TLS, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for name, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return files, cert
}

// trusting is a client's configuration that trusts a certificate.
func trusting(cert *x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// shown is the certificate that the daemon shows.
func (d *daemon) shown(t *testing.T) *x509.Certificate {
	t.Helper()
	//nolint:gosec // it is compared with the one that is meant
	conn, err := tls.Dial("tcp", d.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0]
}

func withTLS(files config.TLS) func(*config.Config) {
	return func(c *config.Config) { c.TLS = files }
}

// TestTLS: a WebSocket and the HTTP API over TLS, and a large event that takes more
// than one write; at the end the close code.
func TestTLS(t *testing.T) {
	t.Parallel()
	files, cert := certify(t, t.TempDir())
	d := start(t, withTLS(files), func(c *config.Config) { c.App.MaxEventSize = 1 << 20 })
	// A client that would rather have HTTP/2.
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(cert), ForceAttemptHTTP2: true}, Timeout: patience}
	defer web.CloseIdleConnections()
	res, err := web.Get("https://" + d.Addr().String() + "/up")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 1 {
		t.Errorf("%s by %s", res.Status, res.Proto)
	}

	ctx := within(t, patience)
	ws, _, err := websocket.Dial(ctx, "wss://"+d.Addr().String()+appTarget, &websocket.DialOptions{HTTPClient: web})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(-1)
	read := func(want string) {
		t.Helper()
		if _, text, err := ws.Read(ctx); err != nil || !bytes.Contains(text, []byte(want)) {
			t.Fatalf("got %.200s, %v, want %.200s", text, err, want)
		}
	}
	read("pusher:connection_established")
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:subscribe","data":{"channel":"jobs"}}`)); err != nil {
		t.Fatal(err)
	}
	read("subscription_succeeded")
	data := strings.Repeat("x", 500_000)
	for range 3 {
		if err := d.Publish("redis", appID, protocol.Event{Channel: "jobs", Name: "e", Data: protocol.QuoteData([]byte(data))}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		read(data)
	}
	go func() { _ = d.stop(within(t, patience)) }()
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != 4200 {
		t.Errorf("at the end: %v", err)
	}
}

// TestTLSRefuses: old versions, and whoever talks plain text.
func TestTLSRefuses(t *testing.T) {
	t.Parallel()
	files, cert := certify(t, t.TempDir())
	d := start(t, withTLS(files))
	old := trusting(cert)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", d.Addr().String(), old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	if got := d.do(t, http.MethodGet, "/up", nil, nil); got.status != http.StatusBadRequest {
		t.Errorf("plain text: %d %s", got.status, got.body)
	}
}

// TestExpiredCertificate: it is used, as nothing else is there, and warned of.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files, expired := certifyUntil(t, dir, time.Now().Add(-time.Minute))
	d := start(t, withTLS(files))
	const warning = "the certificate in use has expired"
	if !d.shown(t).Equal(expired) || !strings.Contains(d.log.String(), warning) {
		t.Errorf("not shown, or without a warning: %s", d.log.String())
	}
	certify(t, dir)
	if d.LookAtCertificates(false); strings.Count(d.log.String(), warning) != 1 {
		t.Errorf("warned of a new one: %s", d.log.String())
	}
}

// TestCertificateChanges: the files are read again when they change, and at a reload;
// what can't be used isn't.
func TestCertificateChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files, first := certify(t, dir)
	d := start(t, withTLS(files))
	wants := func(when string, want *x509.Certificate) {
		t.Helper()
		if !d.shown(t).Equal(want) {
			t.Errorf("%s: another certificate is in use", when)
		}
	}
	wants("at the start", first)
	if got := d.metric(t, "broadcastd_tls_certificate_expiry_timestamp_seconds"); got != float64(first.NotAfter.Unix()) {
		t.Errorf("it expires at %v, says the metric", got)
	}
	if d.LookAtCertificates(false) {
		t.Error("files that are the same can't be used")
	}

	if err := os.WriteFile(files.Key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !d.LookAtCertificates(false) || !d.LookAtCertificates(true) {
		t.Error("a broken key is no trouble")
	}
	if n := strings.Count(d.log.String(), "can't be used; the former one still is"); n != 1 {
		t.Errorf("warned %d times", n)
	}
	wants("while the key is broken", first)
	if got := d.reload(t, withTLS(files)); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "tls.cert") {
		t.Errorf("a reload with a broken key: %d %s", got.status, got.body)
	}
	wants("after that", first)

	_, second := certify(t, dir)
	if d.LookAtCertificates(true) {
		t.Error("a new certificate can't be used")
	}
	wants("once the files are whole again", second)

	_, third := certify(t, dir)
	wantReload(t, d.reload(t, withTLS(files)), "", "")
	wants("after a reload", third)

	elsewhere, fourth := certify(t, t.TempDir())
	wantReload(t, d.reload(t, withTLS(elsewhere)), "tls.cert tls.key", "")
	wants("with other files", fourth)
	wantReload(t, d.reload(t), "", "tls.cert tls.key")
	wants("without TLS, which takes a restart", fourth)
}
