package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exposure is what systemd-analyze security may find at most, in tenths: 0 is locked
// up, 100 wide open. What is left is that a server needs the network (5), and from
// all addresses (2), and sees the machine's /proc (1), /usr (1) and clock device.
const exposure = "13"

// unit is a unit of deploy/systemd as it is, but for where the program is.
func unit(t *testing.T, name string) string {
	t.Helper()
	text := strings.ReplaceAll(read(t, "deploy/systemd", name), "/usr/bin/broadcastd ", program(t)+" ")
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSystemdUnits(t *testing.T) {
	service := unit(t, "broadcastd.service")
	out := run(t, "systemd-analyze", "verify", "--man=no", service, unit(t, "broadcastd.socket"))
	for line := range strings.Lines(out) { // other units of the machine have warnings of their own
		if strings.Contains(line, "broadcastd") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	run(t, "systemd-analyze", "security", "--offline=true", "--threshold="+exposure, service)
}

// TestSystemdUnitFitsTheProgram: commands and times.
func TestSystemdUnitFitsTheProgram(t *testing.T) {
	text := read(t, "deploy/systemd/broadcastd.service")
	for _, m := range regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/broadcastd (\w+) (.*)$`).FindAllStringSubmatch(text, -1) {
		help, err := broadcastd(t, nil, m[1], "--help").CombinedOutput()
		if err != nil || !strings.Contains(string(help), "broadcastd "+m[1]) {
			t.Errorf("the program has no command %s: %v\n%s", m[1], err, help)
		}
		for _, flag := range regexp.MustCompile(`--[\w-]+`).FindAllString(m[2], -1) {
			if !strings.Contains(string(help), flag+" ") {
				t.Errorf("broadcastd %s has no flag %s", m[1], flag)
			}
		}
	}
	stop := seconds(t, regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(text))
	if timeout := defaults(t, "shutdown_timeout"); stop <= timeout {
		t.Errorf("TimeoutStopSec is %v, shutdown_timeout %v", stop, timeout)
	}
}

// seconds is the group of a match.
func seconds(t *testing.T, match []string) time.Duration {
	t.Helper()
	if len(match) != 2 {
		t.Fatal("no such line")
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// defaults is a duration of config.yaml, which is the program's default.
func defaults(t *testing.T, key string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + key + `: (\w+)$`).FindStringSubmatch(read(t, "config.yaml"))
	if m == nil {
		t.Fatalf("config.yaml has no %s", key)
	}
	return duration(t, m[1])
}
