#!/bin/sh
# SPDX-License-Identifier: MIT
# A consumer with checkpoints: runs a command on every new record of every shard, once.
#
#   consumer.sh STREAM NAME COMMAND [ARGUMENT…]
#
# COMMAND reads records on standard input. When it ends with 0, the checkpoint moves behind them;
# else they come again. Killed at any moment, it goes on where it was: each record is processed at
# least once. Ends when there is nothing more; run it again (or in a loop) for what came since.
set -eu
stream=$1 name=$2
shift 2
[ -d "$stream/consumers/$name" ] || mkdir "$stream/consumers/$name"

for checkpoint in "$stream/consumers/$name"/shard-*; do
	shard=$stream/$(basename "$checkpoint")
	at=$(cat "$checkpoint") size=$(stat -c %s "$shard")
	[ "$at" -lt "$size" ] || continue
	tail -c +$((at + 1)) "$shard" | head -c $((size - at)) | "$@"
	echo "$size" >"$checkpoint"
done
