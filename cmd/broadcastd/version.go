package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker, from the git tag and the revision.
var version, commit string

// versionText is the version, or what is known of the commit.
func versionText() string {
	if version != "" {
		return version
	}
	if commit := commitText(); commit != "" {
		return "dev-" + commit
	}
	return "dev"
}

// commitText is the revision that this was built from, as the linker or Go knows
// it, or empty.
func commitText() string {
	info, ok := debug.ReadBuildInfo()
	if commit != "" || !ok {
		return commit
	}
	var revision, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "-dirty"
		}
	}
	return revision + changed
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and the commit that it was built from",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "broadcastd %s (commit %s, %s, %s/%s)\n",
				versionText(), cmp.Or(commitText(), "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
