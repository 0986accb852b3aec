#!/bin/sh
# SPDX-License-Identifier: MIT
# An audit of one key: for each of its records the time, the place and the content.
#
#   audit.sh STREAM KEY [SINCE]          audit.sh orders user-42 7d
set -eu
key=$(printf %s "$2" | jq -sRr '@uri | sub("^[.]"; "%2E")')
exec jq -r '[.time, .shard, .sequence, (.data // .data_base64 // (.claim_check | tojson))] | @tsv' \
	<"$1/since/${3:-0}/json/keys/$key"
