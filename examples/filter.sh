#!/bin/sh
# SPDX-License-Identifier: MIT
# A filter from one stream into another, from now on, until it is stopped: the records of FROM that
# a jq program lets through, as they arrive.
#
#   filter.sh FROM TO 'JQ-PROGRAM'       filter.sh orders large 'select(.total > 1000)'
set -eu
jq --unbuffered -c ".data | fromjson? | $3" <"$1/live/json/all" >>"$2/put"
