#!/bin/sh
# SPDX-License-Identifier: MIT
# What clang-tidy finds with the checks of .clang-tidy, with the flags of the build.
. "$(dirname "$0")/lib.sh"

needs clang-tidy-19
BUILD=${BUILD_DIR:-build}
[ -f "$BUILD/compile_commands.json" ] || { echo "no build in $BUILD: meson setup build"; exit 1; }
find src -name '*.c' | sort |
	xargs -P "$(nproc)" -n 4 clang-tidy-19 -p "$BUILD" --quiet --extra-arg=-w 2>/dev/null |
	grep -E '^[^ ].*(warning|error):' | sort -u >"$WRONG"
result "change the code, or say why not beside it: // NOLINT(NAME): REASON"
