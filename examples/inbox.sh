#!/bin/sh
# SPDX-License-Identifier: MIT
# An inbox for large files: whatever is copied to STREAM/drop/ (by cp, rsync, a camera, a scanner) is
# brought to a folder once it is complete, its bytes checked, under the name it was dropped as.
#
#   inbox.sh STREAM FOLDER
#
# Goes on where it stopped: what it has brought is before the checkpoint of the consumer "inbox".
set -eu
stream=$1 folder=$2
[ -d "$stream/consumers/inbox" ] || mkdir "$stream/consumers/inbox"

payload()
{
	path=$(printf %s "$1" | jq -r '.claim_check.path // empty')
	if [ -n "$path" ]; then
		cat "$stream/$path"
	elif printf %s "$1" | jq -e .data >/dev/null; then
		printf %s "$1" | jq -r .data
	else
		printf %s "$1" | jq -r .data_base64 | base64 -d
		echo
	fi
}

for checkpoint in "$stream/consumers/inbox"/shard-*; do
	shard=$(basename "$checkpoint") from=$(cat "$checkpoint")
	to=$(stat -c %s "$stream/$shard")
	[ "$from" -lt "$to" ] || continue
	jq -c "select(.offset >= $from and .offset < $to)" <"$stream/json/$shard" |
		while IFS= read -r record; do
			name=$(printf %s "$record" | jq -r '.key // "\(.shard)-\(.sequence)" | gsub("/"; "_")')
			payload "$record" >"$folder/.$name.part"
			mv "$folder/.$name.part" "$folder/$name"
		done
	echo "$to" >"$checkpoint"
done
