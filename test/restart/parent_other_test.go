//go:build !linux

package restart_test

import "os/exec"

// dieWithParent is not to be had here.
func dieWithParent(*exec.Cmd) {}
