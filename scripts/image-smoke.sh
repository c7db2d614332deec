#!/usr/bin/env bash
# The image without a container engine: bin/broadcastd alone in an empty root
# directory, as a user without rights, started, found healthy and stopped.
# Without root, which chroot needs, only the environment is as empty.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
	echo "image-smoke: $*" >&2
	exit 1
}

if ldd bin/broadcastd >/dev/null 2>&1; then
	fail "bin/broadcastd is linked dynamically; an image from scratch has no libraries"
fi

root=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$root" "$root.log"' EXIT
chmod 755 "$root"
cp bin/broadcastd "$root/"
port=$(node -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close() })')

image=("$root/broadcastd")
if [ "$(id -u)" -eq 0 ]; then
	image=("$(command -v chroot)" --userspec=65532:65532 "$root" /broadcastd)
fi
image=(env -i REVERB_APP_ID=app REVERB_APP_KEY=key REVERB_APP_SECRET=secret
	BROADCASTD_PORT="$port" BROADCASTD_ADMIN_LISTEN=127.0.0.1:0 "${image[@]}")

"${image[@]}" version
"${image[@]}" start >"$root.log" 2>&1 &
pid=$!
deadline=$((SECONDS + 30))
until "${image[@]}" health >/dev/null 2>&1; do
	kill -0 "$pid" 2>/dev/null || fail "start ended: $(cat "$root.log")"
	[ $SECONDS -lt $deadline ] || fail "health never said yes: $("${image[@]}" health 2>&1) $(cat "$root.log")"
	sleep 0.1
done
kill -TERM "$pid"
wait "$pid" || fail "exit code $? after SIGTERM: $(cat "$root.log")"
if "${image[@]}" health >/dev/null 2>&1; then
	fail "health says yes to a daemon that has ended"
fi
echo "image-smoke: static, starts as nobody in an empty root, healthy, ends with 0"
