#!/bin/sh
# SPDX-License-Identifier: MIT
# Every file of source names its licence in its first three lines.
. "$(dirname "$0")/lib.sh"

{ c_files && shell_files && find . -path './build*' -prune -o -name meson.build -print &&
	find docs/man -type f; } | while read -r file; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file"
done >"$WRONG"
result "begin with: SPDX-License-Identifier: MIT"
