#!/bin/sh
# SPDX-License-Identifier: MIT
# No file of source is longer than 700 lines.
. "$(dirname "$0")/lib.sh"

{ c_files && shell_files; } | while read -r file; do
	lines=$(wc -l <"$file")
	[ "$lines" -le 700 ] || echo "$file: $lines lines"
done >"$WRONG"
result "split it by what it is about"
