#!/bin/sh
# SPDX-License-Identifier: MIT
# What cppcheck finds in the source. tests/checks/cppcheck.txt lists its false alarms.
. "$(dirname "$0")/lib.sh"

needs cppcheck
# Of the system's headers it sees libbsd's lists and trees alone.
MACROS=$(mktemp -d) || exit 2
trap 'rm -rf "$WRONG" "$MACROS"' EXIT
mkdir "$MACROS/bsd" && cp -r "$(pkg-config --variable=includedir libbsd)/bsd/sys" "$MACROS/bsd/"
# shellcheck disable=SC2046 # words
cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr \
	--library=gnu -D_GNU_SOURCE --template='{file}:{line}: {message} [{id}]' \
	--suppressions-list=tests/checks/cppcheck.txt --suppress="*:$MACROS/*" \
	-I"$MACROS" $(find include src -type d | sed 's/^/-I/') src include 2>"$WRONG"
result "change the code; a false alarm goes into tests/checks/cppcheck.txt"
