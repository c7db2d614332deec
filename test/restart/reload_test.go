package restart_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const plainApp = `
log: {level: %s}
app: {id: ` + appID + `, key: ` + key + `, secret: ` + secret + `}
`

// command runs the daemon's program until its end.
func command(env []string, args ...string) (stdout, stderr string, code int) {
	cmd := exec.Command(binary, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{}, env...), &out, &errs
	_ = cmd.Run() // the code tells
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A running daemon reads its configuration again for `broadcastd reload`, which tells
// what came of it, and for SIGHUP. It has both of its sockets from its parent.
func TestReload(t *testing.T) {
	public, admin := listen(t), listen(t)
	boss := newBoss(t)
	listens := "BROADCASTD_ADMIN_LISTEN=" + admin.Addr().String()
	file := settings(t, fmt.Sprintf(plainApp, "info"))
	d := start(t, file, append(boss.env, listens, "LISTEN_FDNAMES=web:admin"), []*net.TCPListener{public, admin})
	boss.hears(t, "READY=1")
	if d.addr != public.Addr().String() || d.admin != admin.Addr().String() {
		t.Errorf("it listens at %s and %s, and was given %s and %s", d.addr, d.admin, public.Addr(), admin.Addr())
	}
	wants := func(wantOut, wantErr string, wantCode int) {
		t.Helper()
		stdout, stderr, code := command([]string{listens}, "reload", "--config", file)
		if stdout != wantOut || !strings.Contains(stderr, wantErr) || code != wantCode {
			t.Errorf("reload: %q, %q, exit code %d; want %q, %q, %d", stdout, stderr, code, wantOut, wantErr, wantCode)
		}
	}
	wants("nothing has changed\n", "", 0)
	write(t, file, fmt.Sprintf(plainApp, "debug")+"path: /ws\n")
	wants("applied: log.level\nneeds a restart: path\n", "", 0)
	write(t, file, fmt.Sprintf(plainApp, "loud"))
	wants("", `nothing has changed: `+file+`:5: log.level`, 1)
	write(t, file, "app: [")
	wants("", "nothing has changed, as the server was not asked: ", 1)

	d.signal(syscall.SIGHUP)
	if got := boss.next(t); !regexp.MustCompile("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$").MatchString(got) {
		t.Errorf("the supervisor was told %q", got)
	}
	boss.hears(t, "READY=1")
	d.logs(`msg="the configuration was not reloaded, and nothing has changed"`)
	write(t, file, fmt.Sprintf(plainApp, "info"))
	d.signal(syscall.SIGHUP)
	boss.next(t)
	boss.hears(t, "READY=1")
	d.logs(`msg="the configuration was reloaded" applied=log.level`)
	d.stop()
	boss.hears(t, "STOPPING=1")
	if _, stderr, code := command([]string{"BROADCASTD_ADMIN_LISTEN=127.0.0.1:0"}, "reload", "--config", file); code != 1 || !strings.Contains(stderr, "SIGHUP") {
		t.Errorf("nobody to be asked: %d %q", code, stderr)
	}
}

// Who asks for signs of life gets them.
func TestWatchdog(t *testing.T) {
	boss := newBoss(t)
	d := start(t, settings(t, fmt.Sprintf(plainApp, "info")), append(boss.env, "WATCHDOG_USEC=20000"), nil)
	boss.hears(t, "READY=1")
	for range 3 {
		boss.hears(t, "WATCHDOG=1")
	}
	d.signal(syscall.SIGTERM)
	for boss.next(t) != "STOPPING=1" {
	}
	<-d.exited
}

// A socket that nothing is to be done with stops the start.
func TestUnknownSocket(t *testing.T) {
	one, two := listen(t), listen(t)
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary, "start", "--config", settings(t, fmt.Sprintf(plainApp, "info")))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LISTEN_FDS=2", "LISTEN_FDNAMES=public:metrics"}
	for _, l := range []*net.TCPListener{one, two} {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	dieWithParent(cmd)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the socket metrics") {
		t.Errorf("it started: %v %s", err, out)
	}
}
