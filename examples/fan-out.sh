#!/bin/sh
# SPDX-License-Identifier: MIT
# Fan-out: each of several commands gets every record that arrives from now on, at its own pace.
#
#   fan-out.sh STREAM 'COMMAND 1' 'COMMAND 2' 'COMMAND 3' …
#
# Each reads the stream by itself; a slow one holds up none of the others, and no record is copied.
# When this script is stopped, so are they.
set -eu
stream=$1 pids=
shift
stop()
{
	for group in $pids; do
		kill -- "-$group" 2>/dev/null || true
	done
}
trap stop EXIT
trap exit INT TERM HUP
for command in "$@"; do
	setsid sh -c "$command" <"$stream/live/all" &
	pids="$pids $!"
done
wait
