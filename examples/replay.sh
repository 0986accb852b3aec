#!/bin/sh
# SPDX-License-Identifier: MIT
# Replays the records that arrived from a point in time on into another stream. (Kinesis calls this
# AT_TIMESTAMP.)
# WHEN is an RFC 3339 time, seconds since 1970, or an age such as 15m.
#
#   replay.sh FROM WHEN TO
#
# Records keep their keys. The records of a key stay in order. It ends at the end of the stream.
set -eu
exec <"$1/since/$2/json/all"
{
	jq -r '[(.key // "" | @uri | sub("^[.]"; "%2E")), .claim_check.path // "",
		(.data_base64 // (.data // .key // "" | @base64))] | join("|")' || kill $$
} | while IFS='|' read -r key blob data; do
	to=$3/put
	[ -z "$key" ] || to=$3/keys/$key
	if [ -z "$blob" ]; then
		{ printf %s "$data" | base64 -d && echo; } >>"$to"
	elif [ "$(wc -l <"$1/$blob")" -eq 0 ]; then
		{ cat "$1/$blob" && echo; } >>"$to"
	else # a file from drop/: its key is its name
		cp "$1/$blob" "$3/drop/$(printf %s "$data" | base64 -d)"
	fi
done
