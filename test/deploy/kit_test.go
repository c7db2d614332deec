// Package deploy holds the tests of deploy/: what stands there is checked with the
// tools that it is for, and compared with the program.
package deploy

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"broadcastd/test/redistest"
)

// patience is for what takes seconds at most, on a machine that is busy.
const patience = 30 * time.Second

var folder string // of the program

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "broadcastd-deploy-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// program builds the daemon, once, as v1.2.3 is released, and gives its path.
func program(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "broadcastd")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.version=v1.2.3 -X main.commit=0123456789ab", "-o", path, "./cmd/broadcastd")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func root(elem ...string) string { return filepath.Join(append([]string{"..", ".."}, elem...)...) }

func read(t *testing.T, elem ...string) string {
	t.Helper()
	text, err := os.ReadFile(root(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run gives what a command prints, both ways, and fails the test if it fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// broadcastd prepares the program, with no more environment than env.
func broadcastd(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Dir = t.TempDir() // no config.yaml
	cmd.Env = env
	return cmd
}

// scrape is what Prometheus gets of a node that has everything: Redis, a cluster,
// webhooks, an API to ask; and to which everything has happened that brings a metric
// about.
func scrape(t *testing.T) []byte {
	t.Helper()
	redis := redistest.Start(t)
	api := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(api.Close)
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf(`
host: 127.0.0.1
port: 0
admin: {listen: 127.0.0.1:0}
redis: {url: %[1]q, source: both}
scaling: {enabled: true}
auth: {endpoint: %[2]q, user_endpoint: %[2]q}
app: {id: app-id, key: app-key, secret: app-secret, webhooks: [{url: %[2]q}]}
`, redis.URL(), api.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	public, admin := startDaemon(t, nil, "start", "--config="+config)
	for _, key := range []string{"app-key", "no-key"} { // one of them is refused
		ws, _, err := websocket.Dial(t.Context(), "ws://"+public+"/app/"+key+"?protocol=7", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.CloseNow() })
		if _, _, err := ws.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	get(t, "http://"+public+"/up")
	encrypted := scrapeTLS(t)
	var metrics []byte
	eventually(t, func() error { // Redis tells of the nodes after a while
		metrics = get(t, "http://"+admin+"/metrics")
		if !bytes.Contains(metrics, []byte("broadcastd_cluster_nodes{")) {
			return fmt.Errorf("no broadcastd_cluster_nodes in\n%s", metrics)
		}
		return nil
	})
	return slices.Concat(metrics, encrypted)
}

// scrapeTLS is what only a node with a certificate has.
func scrapeTLS(t *testing.T) []byte {
	t.Helper()
	cert, key := selfSigned(t)
	_, admin := startDaemon(t, []string{
		"BROADCASTD_APP_ID=app-id", "BROADCASTD_APP_KEY=app-key", "BROADCASTD_APP_SECRET=app-secret",
		"BROADCASTD_HOST=127.0.0.1", "BROADCASTD_PORT=0", "BROADCASTD_ADMIN_LISTEN=127.0.0.1:0",
		"BROADCASTD_TLS_CERT=" + cert, "BROADCASTD_TLS_KEY=" + key,
	}, "start")
	lines := regexp.MustCompile(`(?m)^.*broadcastd_tls_.*\n`).FindAll(get(t, "http://"+admin+"/metrics"), -1)
	return bytes.Join(lines, nil)
}

// selfSigned makes the files of a certificate for localhost.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	run(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
		"-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
	return cert, key
}

// startDaemon gives the addresses for clients and for the admin.
func startDaemon(t *testing.T, env []string, args ...string) (public, admin string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	cmd := broadcastd(t, env, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() })
	listening := regexp.MustCompile(`msg=listening address=(\S+) .*admin=(\S+)`)
	eventually(t, func() error {
		out, err := os.ReadFile(log.Name())
		if err != nil {
			return err
		}
		m := listening.FindSubmatch(out)
		if m == nil {
			return fmt.Errorf("not listening yet:\n%s", out)
		}
		public, admin = string(m[1]), string(m[2])
		return nil
	})
	return public, admin
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	return getWith(t, url, "")
}

// getWith is get with a bearer token.
func getWith(t *testing.T, url, token string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, res.Status, err)
	}
	return body.Bytes()
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// families are the metrics of a scrape by their name.
func families(t *testing.T, scrape []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(bytes.NewReader(scrape))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
