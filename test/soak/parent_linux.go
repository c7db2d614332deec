package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent takes a process down with a soak that is killed. Ctrl-C is for the soak
// alone, which then ends in order.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
