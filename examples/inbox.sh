#!/bin/sh
# SPDX-License-Identifier: MIT
# An inbox for large files: whatever is copied to STREAM/drop/ (by cp, rsync, a camera, a scanner) is
# brought to a folder once it is complete, its bytes checked, under the name it was dropped as.
# (A file of one line, which is a record as any other, has its newline then.)
#
#   inbox.sh STREAM FOLDER
#
# Goes on where it stopped: what it has brought is before the checkpoint of the consumer "inbox".
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
