#!/bin/sh
# SPDX-License-Identifier: MIT
# A consumer with checkpoints: runs a command on the new records of each shard.
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
	shard=${checkpoint##*/} at=$(cat "$checkpoint")
	size=$(stat -c %s "$stream/$shard")
	horizon=$(sed -n "s/^$shard://p" "$stream/trim") # what is before it was trimmed
	[ "$at" -ge "$horizon" ] || at=$horizon
	[ "$at" -lt "$size" ] || continue
	# What could not be read is not done. (A COMMAND may end without having read everything.)
	{
		dd if="$stream/$shard" bs=64K iflag=skip_bytes,count_bytes skip="$at" \
			count=$((size - at)) status=none || [ $? -gt 128 ] || kill $$
	} | "$@"
	echo "$size" >"$checkpoint"
done
