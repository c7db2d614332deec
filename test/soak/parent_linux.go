package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent takes a process down with a soak that is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
