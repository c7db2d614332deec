#!/usr/bin/env bash
# Runs the marketplace with everything it needs until Ctrl-C: a Redis of its
# own, the API with the page, and broadcastd. "make demo" builds and calls it.
#
#   DEMO_PORT          the page and the API (8000)
#   DEMO_WS_PORT       broadcastd (8080)
#   DEMO_METRICS_PORT  broadcastd's metrics (9601)
#   DEMO_BIN           folder of the programs broadcastd and jobs (bin)
set -euo pipefail
cd "$(dirname "$0")/../.."

port=${DEMO_PORT:-8000}
ws_port=${DEMO_WS_PORT:-8080}
metrics_port=${DEMO_METRICS_PORT:-9601}
bin=${DEMO_BIN:-bin}
children=()
names=()
dir=$(mktemp -d)

finish() {
	trap - EXIT INT TERM
	local pid
	for pid in ${children[@]+"${children[@]}"}; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$dir"
}
trap finish EXIT
trap 'echo; echo "Stopping."; exit 0' INT TERM

die() {
	echo "demo: $*" >&2
	exit 1
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start NAME COMMAND...: runs it in the background, its output in a file.
start() {
	local name=$1
	shift
	"$@" >"$dir/$name.log" 2>&1 &
	children+=($!)
	names+=("$name")
}

# alive: ends the demo when one of its programs has ended.
alive() {
	local i
	for i in "${!children[@]}"; do
		kill -0 "${children[$i]}" 2>/dev/null && continue
		cat "$dir/${names[$i]}.log" >&2
		die "${names[$i]} ended; its output is above"
	done
}

# await CONDITION...: waits until it holds while all programs live, 15 s at most.
await() {
	local tries=0
	until "$@"; do
		alive
		tries=$((tries + 1))
		[ $tries -lt 150 ] || die "still waiting for '$*'"
		sleep 0.1
	done
}

for program in "$bin/broadcastd" "$bin/jobs"; do
	[ -x "$program" ] || die "$program is missing: run make demo, which builds it"
done
for name in DEMO_PORT:$port DEMO_WS_PORT:$ws_port DEMO_METRICS_PORT:$metrics_port; do
	! listens "${name#*:}" || die "port ${name#*:} is taken: choose another with ${name%:*}=..."
done

export BROADCASTD_HOST=127.0.0.1 BROADCASTD_PORT=$ws_port
export BROADCASTD_ADMIN_LISTEN=127.0.0.1:$metrics_port
export BROADCASTD_AUTH_ENDPOINT=http://127.0.0.1:$port/broadcasting/auth

if command -v redis-server >/dev/null; then
	start redis-server redis-server --port 0 --unixsocket "$dir/redis.sock" --save '' --dir "$dir"
	await test -S "$dir/redis.sock"
	redis=unix://$dir/redis.sock
	export BROADCASTD_REDIS_URL=$redis
else
	redis=redis://127.0.0.1:6379 # where --dev finds or starts one
fi
start broadcastd "$bin/broadcastd" start --dev
await listens "$ws_port"
start jobs "$bin/jobs" --listen="127.0.0.1:$port" --redis="$redis" --ws-url="http://127.0.0.1:$ws_port"
await listens "$port"

cat <<TEXT

  Jobs      http://127.0.0.1:$port
  Metrics   http://127.0.0.1:$metrics_port/metrics
  Logs      $dir

  Open the page in two windows, as a client and as a freelancer.
  Ctrl-C stops everything.

TEXT
echo "Demo ready: http://127.0.0.1:$port"

while alive; do sleep 1; done
