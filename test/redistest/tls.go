package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const tlsCertFile = "--tls-cert-file"

// TLSArgs has each server listen for TLS too, with a certificate for 127.0.0.1
// that no system trusts; servers that work together talk TLS to each other.
func TLSArgs(tb testing.TB) []string {
	tb.Helper()
	cert, key, err := certify()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	file := func(name, kind string, content []byte) string {
		path := filepath.Join(dir, name)
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	certFile := file("cert.pem", "CERTIFICATE", cert)
	return []string{
		tlsCertFile, certFile, "--tls-key-file", file("key.pem", "PRIVATE KEY", key), "--tls-ca-cert-file", certFile,
		"--tls-auth-clients", "no", "--tls-cluster", "yes", "--tls-replication", "yes",
	}
}

// certify makes a certificate that signs itself, for servers and clients.
func certify() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
	}
	cert, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	return cert, key, err
}

// TLSAddr is host:port for TLS, of a server with TLSArgs.
func (s *Server) TLSAddr() string { return s.tls }
