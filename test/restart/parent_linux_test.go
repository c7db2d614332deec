package restart_test

import (
	"os/exec"
	"syscall"
)

// dieWithParent takes a daemon down with a test process that is killed or panics,
// and so runs no cleanup.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
