#!/bin/sh
# SPDX-License-Identifier: MIT
# Dead letters: runs a command on each record, one at a time. A record on which the command fails
# goes to a dead-letter stream. So a bad record does not hold up the others. A consumer's checkpoint
# keeps the progress.
#
#   dead-letter.sh STREAM NAME DEAD-STREAM COMMAND [ARGUMENT…]
#
# For records without NUL bytes only: a variable of the shell cannot hold them.
set -eu
stream=$1 name=$2 dead=$3
shift 3
[ -d "$stream/consumers/$name" ] || mkdir "$stream/consumers/$name"

for checkpoint in "$stream/consumers/$name"/shard-*; do
	shard=${checkpoint##*/} at=$(cat "$checkpoint")
	horizon=$(sed -n "s/^$shard://p" "$stream/trim") # records before it are trimmed
	[ "$at" -ge "$horizon" ] || at=$horizon
	{ tail -c +$((at + 1)) "$stream/$shard" || kill $$; } | while IFS= read -r record; do
		printf '%s\n' "$record" | "$@" || printf '%s\n' "$record" >>"$dead/put"
		at=$((at + $(printf '%s\n' "$record" | wc -c)))
		echo "$at" >"$checkpoint"
	done
done
