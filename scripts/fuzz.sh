#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, for the time given
# (go test takes one target at a time).
set -euo pipefail
time=${1:-10s}

for package in $(go list ./...); do
	targets=$(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
	for target in $targets; do
		echo "$package $target"
		go test -run='^$' -fuzz="^$target\$" -fuzztime="$time" "$package"
	done
done
