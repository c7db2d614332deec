#!/bin/sh
# After the package was installed or replaced. It starts nothing that didn't run: the
# configuration comes first.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart broadcastd.service
fi
