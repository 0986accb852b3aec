#!/bin/sh
# SPDX-License-Identifier: MIT
# What mandoc finds in the manual pages.
. "$(dirname "$0")/lib.sh"

needs mandoc
mandoc -Tlint -W warning docs/man/*.[0-9] >"$WRONG"
result "see mandoc(1), DIAGNOSTICS"
