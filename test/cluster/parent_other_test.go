//go:build !linux

package cluster_test

import "os/exec"

// dieWithParent is not to be had here.
func dieWithParent(*exec.Cmd) {}
