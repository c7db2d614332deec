#!/usr/bin/env bash
# Makes sure that what the named Debian packages hold is there; root installs
# them when it is missing.
set -euo pipefail
PATH=$PATH:/usr/sbin # where nginx is

# present PACKAGE: most are called like their command.
present() {
	case $1 in
	php-cli) command -v php ;;
	prometheus) command -v promtool ;;
	systemd) command -v systemd-analyze ;;
	php-redis) php -r 'exit(extension_loaded("redis") ? 0 : 1);' ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

missing=()
for name in "$@"; do
	present "$name" || missing+=("$name")
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
