#!/bin/sh
# SPDX-License-Identifier: MIT
# A consumer with checkpoints: it runs a command on the new records of each shard.
#
#   consumer.sh STREAM NAME COMMAND [ARGUMENT…]
#
# COMMAND reads records on standard input. If it exits with 0, the checkpoint moves behind these
# records. Otherwise the next run brings them again. This script may be killed at any moment: each
# record is processed at least once. It ends when there are no more records. Run it again, or in a
# loop, for the records that arrived since.
set -eu
stream=$1 name=$2
shift 2
[ -d "$stream/consumers/$name" ] || mkdir "$stream/consumers/$name"

for checkpoint in "$stream/consumers/$name"/shard-*; do
	shard=${checkpoint##*/} at=$(cat "$checkpoint")
	size=$(stat -c %s "$stream/$shard")
	horizon=$(sed -n "s/^$shard://p" "$stream/trim") # records before it are trimmed
	[ "$at" -ge "$horizon" ] || at=$horizon
	[ "$at" -lt "$size" ] || continue
	# A failed read must not move the checkpoint. (A COMMAND that stops reading early may: dd then
	# ends by SIGPIPE.)
	{
		dd if="$stream/$shard" bs=64K iflag=skip_bytes,count_bytes skip="$at" \
			count=$((size - at)) status=none || [ $? -gt 128 ] || kill $$
	} | "$@"
	echo "$size" >"$checkpoint"
done
