#!/bin/sh
# SPDX-License-Identifier: MIT
# An inbox for large files. A file that was copied to STREAM/drop/ (by cp, rsync, a camera or a
# scanner) comes to FOLDER when it is complete, under its own name. Its bytes are checked on the way.
# (A file of one line is an ordinary record. It gets a newline if it had none.)
#
#   inbox.sh STREAM FOLDER
#
# The next run continues where this one stopped: the consumer "inbox" has the checkpoint.
set -eu
stream=$1 folder=$2 part=$2/.inbox.$$
[ -d "$stream/consumers/inbox" ] || mkdir "$stream/consumers/inbox"

payload()
{
	path=$(printf %s "$1" | jq -r '.claim_check.path // empty')
	if [ -n "$path" ]; then
		cat "$stream/$path"
	else
		printf %s "$1" | jq -r '.data_base64 // (.data | @base64)' | base64 -d && echo
	fi
}

for checkpoint in "$stream/consumers/inbox"/shard-*; do
	shard=${checkpoint##*/} from=$(cat "$checkpoint")
	to=$(stat -c %s "$stream/$shard")
	[ "$from" -lt "$to" ] || continue
	{
		jq -c "select(.offset >= $from and .offset < $to)" <"$stream/json/$shard" || kill $$
	} | while IFS= read -r record; do
		name=$(printf %s "$record" | jq -r '.key // "\(.shard)-\(.sequence)" |
			gsub("/"; "_") | sub("^[.][.]?$"; "_")')
		payload "$record" >"$part"
		mv "$part" "$folder/$name"
	done
	echo "$to" >"$checkpoint"
done
