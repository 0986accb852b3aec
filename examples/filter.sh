#!/bin/sh
# SPDX-License-Identifier: MIT
# A filter from one stream of JSON into another, live, until it is stopped. It runs a jq program on
# each record that arrives in FROM. Each output is a record of TO. Records that are not JSON are
# skipped.
#
#   filter.sh FROM TO 'JQ-PROGRAM'       filter.sh orders large 'select(.total > 1000)'
set -eu
exec jq --unbuffered -c ".data | fromjson? | $3" <"$1/live/json/all" >>"$2/put"
