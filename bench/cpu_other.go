//go:build !linux

package main

// scenariosOfLinux can't run here.
var scenariosOfLinux []scenario
