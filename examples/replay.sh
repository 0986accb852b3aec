#!/bin/sh
# SPDX-License-Identifier: MIT
# Replays what arrived from a point in time on into another stream: what Kinesis calls AT_TIMESTAMP.
# WHEN is an RFC 3339 time, seconds since 1970, or an age such as 15m.
#
#   replay.sh FROM WHEN TO
#
# Records keep their keys. It ends when it has come to the end.
set -eu
jq -r 'select(.data) | [.key // "", .data] | @base64' <"$1/since/$2/json/all" |
	while read -r record; do
		key=$(printf %s "$record" | base64 -d | jq -r '.[0] | @uri')
		data=$(printf %s "$record" | base64 -d | jq -r '.[1]')
		if [ -n "$key" ]; then to=$3/keys/$key; else to=$3/put; fi
		printf '%s\n' "$data" >>"$to"
	done
