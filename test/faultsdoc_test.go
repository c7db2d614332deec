package test

import "testing"

func TestFaultsDocNamesTests(t *testing.T) { checkNames(t, "docs/faults.md", 25) }
