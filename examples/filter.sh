#!/bin/sh
# SPDX-License-Identifier: MIT
# A filter from one stream of JSON into another, from now on, until it is stopped: what a jq program
# makes of each record of FROM, as it arrives, is a record of TO. Records that are no JSON are passed.
#
#   filter.sh FROM TO 'JQ-PROGRAM'       filter.sh orders large 'select(.total > 1000)'
set -eu
exec jq --unbuffered -c ".data | fromjson? | $3" <"$1/live/json/all" >>"$2/put"
