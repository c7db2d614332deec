// Package faults_test runs the daemon as a process and breaks what it depends on.
// docs/faults.md has what each test promises.
package faults_test

import (
	"os"
	"testing"

	"broadcastd/test/daemon"
)

func TestMain(m *testing.M) { os.Exit(daemon.Main(m)) }
