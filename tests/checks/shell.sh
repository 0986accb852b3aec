#!/bin/sh
# SPDX-License-Identifier: MIT
# What shellcheck finds in scripts.
. "$(dirname "$0")/lib.sh"

needs shellcheck
# Words are split on purpose (2046); what ls prints is what is tested (2010, 2011); sys takes a
# comma between operations (2054).
shell_files | xargs shellcheck -x -P SCRIPTDIR -S warning -e SC2046,SC2010,SC2011,SC2054 \
	-f gcc >"$WRONG"
result "https://www.shellcheck.net/wiki/ explains each number"
