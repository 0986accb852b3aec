#!/bin/sh
# SPDX-License-Identifier: MIT
# Every file of tests is in a list of meson's: what is in none would never run.
. "$(dirname "$0")/lib.sh"

# listed NAME FILE
listed()
{
	grep -q "'$1'" "$(dirname "$2")/meson.build" "$(dirname "$2")/../meson.build" 2>/dev/null ||
		echo "$2"
}

{
	for file in tests/unit/*/test_*.c tests/mount/test_*.sh tests/fuzz/fuzz_*.c; do
		name=$(basename "$file" .sh)
		name=$(basename "$name" .c)
		name=${name#fuzz_}
		listed "${name#test_}" "$file"
	done
	for file in tests/checks/*.sh tests/checks/*.py; do
		[ "$file" = tests/checks/lib.sh ] || listed "$(basename "$file")" "$file"
	done
} >"$WRONG"
result "add it to the meson.build of its folder"
