#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a command on each record, one at a time; records that it fails on go to a dead-letter stream,
# so that one bad record does not hold up the others. Progress is kept as a consumer's checkpoint.
#
#   dead-letter.sh STREAM NAME DEAD-STREAM COMMAND [ARGUMENT…]
#
# For records without NUL bytes, which a shell's variables cannot hold.
set -eu
stream=$1 name=$2 dead=$3
shift 3
[ -d "$stream/consumers/$name" ] || mkdir "$stream/consumers/$name"

for checkpoint in "$stream/consumers/$name"/shard-*; do
	shard=${checkpoint##*/} at=$(cat "$checkpoint")
	horizon=$(sed -n "s/^$shard://p" "$stream/trim") # what is before it was trimmed
	[ "$at" -ge "$horizon" ] || at=$horizon
	{ tail -c +$((at + 1)) "$stream/$shard" || kill $$; } | while IFS= read -r record; do
		printf '%s\n' "$record" | "$@" || printf '%s\n' "$record" >>"$dead/put"
		at=$((at + $(printf '%s\n' "$record" | wc -c)))
		echo "$at" >"$checkpoint"
	done
done
