// Package attacks_test runs the daemon as a process and package attack against it,
// in small. docs/attacks.md has what each test promises.
package attacks_test

import (
	"os"
	"testing"

	"broadcastd/test/daemon"
)

func TestMain(m *testing.M) { os.Exit(daemon.Main(m)) }
