#!/bin/sh
# SPDX-License-Identifier: MIT
# Fan-out: every command gets every record that arrives from now on, at its own pace.
#
#   fan-out.sh STREAM 'COMMAND 1' 'COMMAND 2' 'COMMAND 3' …
#
# Each command reads the stream by itself. So a slow command does not hold up the others, and no
# record is copied. When this script stops, it stops the commands.
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
