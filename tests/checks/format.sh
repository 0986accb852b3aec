#!/bin/sh
# SPDX-License-Identifier: MIT
# C has the layout of .clang-format. The version is fixed, since each lays out some lines otherwise;
# Debian 12 and 13 both have this one.
. "$(dirname "$0")/lib.sh"

needs clang-format-19
c_files | xargs clang-format-19 --dry-run --Werror 2>&1 | grep -E '^[^ ].*(error|warning):' |
	cut -d: -f1,2 | sort -u >"$WRONG"
c_files | xargs grep -nE '^[[:space:]]+\*/$' /dev/null | while IFS=: read -r file line _; do
	# A comment behind code, whose end clang-format put on a line of its own.
	sed -n "$((line - 1))p" "$file" | grep -qE '^.*[^[:space:]].*/\* ' && echo "$file:$line: a lone */"
done >>"$WRONG"
result "clang-format-19 -i FILE, or shorten the comment"
