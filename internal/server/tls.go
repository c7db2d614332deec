package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"broadcastd/internal/config"
)

// certificateInterval is how often the files are looked at.
const certificateInterval = 10 * time.Second

// secure serves a listener's connections with TLS, if that is configured. WebSockets
// are of HTTP/1.1, so nothing else is agreed upon.
func (s *Server) secure(l net.Listener) net.Listener {
	if s.certs == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.certs.current.Load().cert, nil
		},
	})
}

// certificates is the one that is in use, and where a newer one is looked for.
type certificates struct {
	log     *slog.Logger
	expires prometheus.Gauge
	current atomic.Pointer[certificate]
	mu      sync.Mutex // one change at a time
}

// certificate is what two files hold.
type certificate struct {
	files config.TLS
	cert  *tls.Certificate
	stamp stamp
}

// stamp tells whether the files are those that were read.
type stamp struct{ certTime, keyTime, certSize, keySize int64 }

func newCertificates(files config.TLS, reg prometheus.Registerer, log *slog.Logger) (*certificates, error) {
	first, err := readCertificate(files)
	if err != nil {
		return nil, err
	}
	c := &certificates{log: log, expires: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "broadcastd_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate in use expires, as Unix time.",
	})}
	c.use(first)
	return c, nil
}

// CheckTLS reports why a start, or a reload, could not use the certificate.
func CheckTLS(files config.TLS) error {
	if files.Cert == "" {
		return nil
	}
	_, err := readCertificate(files)
	return err
}

// readCertificate's errors name the keys and quote nothing of the files.
func readCertificate(files config.TLS) (*certificate, error) {
	c := &certificate{files: files, stamp: stampOf(files)} // before reading: what changes meanwhile is read again
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate (keys tls.cert and tls.key): %w", err)
	}
	c.cert = &pair
	return c, nil
}

// use needs c.mu, but for the first.
func (c *certificates) use(next *certificate) {
	before := c.current.Swap(next)
	expires := next.cert.Leaf.NotAfter
	c.expires.Set(float64(expires.Unix()))
	if time.Now().After(expires) {
		c.log.Warn("the certificate in use has expired, and clients refuse it: renew it (keys tls.cert and tls.key)", "expired", expires.UTC().Format(time.RFC3339))
	}
	if before != nil && string(before.cert.Leaf.Raw) != string(next.cert.Leaf.Raw) {
		c.log.Info("another certificate is in use", "expires", expires.UTC().Format(time.RFC3339))
	}
}

// replace uses what a reload has read.
func (c *certificates) replace(next *certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use(next)
}

// watch uses what the files hold, until ctx ends. A certificate that can't be read
// is warned of once, and tried again.
func (c *certificates) watch(ctx context.Context) {
	ticker := time.NewTicker(certificateInterval)
	defer ticker.Stop()
	warned := false
	for {
		select {
		case <-ticker.C:
			warned = c.look(warned)
		case <-ctx.Done():
			return
		}
	}
}

// look reports whether what the files hold can't be used.
func (c *certificates) look(warned bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.current.Load()
	if stampOf(now.files) == now.stamp {
		return false
	}
	next, err := readCertificate(now.files)
	if err != nil {
		if !warned {
			c.log.Warn("the certificate's files have changed and can't be used; the former one still is", "err", err)
		}
		return true
	}
	c.use(next)
	return false
}

// stampOf is zero for files that are not there.
func stampOf(files config.TLS) (s stamp) {
	if info, err := os.Stat(files.Cert); err == nil {
		s.certTime, s.certSize = info.ModTime().UnixNano(), info.Size()
	}
	if info, err := os.Stat(files.Key); err == nil {
		s.keyTime, s.keySize = info.ModTime().UnixNano(), info.Size()
	}
	return s
}
