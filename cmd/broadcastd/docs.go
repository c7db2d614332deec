//go:build docs

package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// addDocs adds what writes man pages and completions, which packages hold and the
// daemon needn't: go run -tags docs ./cmd/broadcastd docs FOLDER
func addDocs(root *cobra.Command) {
	root.AddCommand(&cobra.Command{
		Use:    "docs FOLDER",
		Short:  "Write man pages and shell completions",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return writeDocs(root, args[0])
		},
	})
}

func writeDocs(root *cobra.Command, folder string) error {
	man, completions := filepath.Join(folder, "man"), filepath.Join(folder, "completions")
	for _, dir := range []string{man, completions} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	root.DisableAutoGenTag = true // no date; that of man pages is $SOURCE_DATE_EPOCH
	header := &doc.GenManHeader{Section: "1", Source: "broadcastd " + versionText(), Manual: "broadcastd"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return err
	}
	if err := root.GenBashCompletionFileV2(filepath.Join(completions, "broadcastd.bash"), true); err != nil {
		return err
	}
	if err := root.GenZshCompletionFile(filepath.Join(completions, "_broadcastd")); err != nil {
		return err
	}
	return root.GenFishCompletionFile(filepath.Join(completions, "broadcastd.fish"), true)
}
