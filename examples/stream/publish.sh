#!/bin/sh
# Adds an event to broadcastd's log in Redis:
#   publish.sh CHANNEL EVENT DATA [SOCKET_ID]
# DATA is JSON; SOCKET_ID is a connection that doesn't get it. Needs redis-cli;
# with partitions, gzip and GNU od as well.
set -eu
channel=$1 event=$2 data=$3 socket=${4:-}
: "${REDIS_URL:=redis://127.0.0.1:6379}" "${APP_ID:=app-id}" "${PREFIX:=broadcastd:}" "${PARTITIONS:=1}"

partition=0
if [ "$PARTITIONS" -gt 1 ]; then
	# gzip ends with the CRC-32 of what it read, and its length.
	crc=$(printf %s "$channel" | gzip | tail -c 8 | od -An -N4 -tu4 --endian=little)
	partition=$((crc % PARTITIONS))
fi

set -- channel "$channel" event "$event" data "$data"
[ -z "$socket" ] || set -- "$@" socket "$socket"
# -e: what Redis refuses ends it with an error. The answer is the event's id.
exec redis-cli -e -u "$REDIS_URL" XADD "$PREFIX{$APP_ID:$partition}:log" '*' "$@"
