#!/bin/sh
# SPDX-License-Identifier: MIT
# Fan-out: each of several commands gets every record that arrives from now on, at its own pace.
#
#   fan-out.sh STREAM 'COMMAND 1' 'COMMAND 2' 'COMMAND 3' …
#
# Each reads the stream by itself; a slow one holds up none of the others, and no record is copied.
set -eu
stream=$1
shift
for command in "$@"; do
	sh -c "$command" <"$stream/live/all" &
done
wait
