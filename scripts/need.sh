#!/usr/bin/env bash
# Makes sure that the commands named are there. Each is called like its Debian
# package, which root installs when it is missing.
set -euo pipefail

missing=()
for name in "$@"; do
	command -v "$name" >/dev/null || missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]}; install them (Debian: sudo apt-get install ${missing[*]}) and run make again" >&2
	exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends "${missing[@]}"
